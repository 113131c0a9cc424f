"""What the acts of one-step conditions would have been worth: on the subject's own task, and on a donor's.

If a lifetime's older past is that of a donor, its acts may show the donor's task. An act's worth there is compared with
its worth on the tasks of the other lifetimes of the block. A policy that depends on the recipient's last trials, the
clock and chance alone is independent of the donor, so its expected difference is 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mesascope.contracts.condition import Condition
from mesascope.contracts.family import Family
from mesascope.contracts.payoffs import take_choice
from mesascope.rollouts.lives import Place, Record

CHUNK = 1 << 22  # numbers per array
RANKED = 8  # the most choices that are ranked on the donor's task


class Transplant(NamedTuple):
    """The worth of acts with a donor's past, [N, T] each.

    Attributes:
        gain: their worth on the donor's task, minus the mean on the tasks of all other lifetimes.
        room: the same difference for the donor's best act.
        strict: `gain`, where the donor's own act at the seam was not the subject's; the other lifetimes are those of
            which this is true too. 0 elsewhere.
        strict_all: the same, but compared with all lifetimes.
        strict_room: the room there, 0 elsewhere.
        ranks: [N, T, R] the donor's acts from the best to the worst, or the best alone if there are many; R is 0 if
            actions are real.
    """

    gain: np.ndarray
    room: np.ndarray
    strict: np.ndarray
    strict_all: np.ndarray
    strict_room: np.ndarray
    ranks: np.ndarray


def judge(
    family: Family,
    split: str,
    conditions: Sequence[Condition],
    records: Mapping[tuple[str, Place], Record],
    *,
    tasks: Sequence[Any],
    chances: Sequence[np.ndarray],
) -> tuple[dict[tuple[str, Place], Record], dict[str, list[Transplant]]]:
    """Replaces the scores of one-step conditions, and compares the acts with donors' pasts.

    Args:
        family: the family of the tasks.
        split: the split that they belong to.
        conditions: the conditions.
        records: the record of each condition's label and block.
        tasks: the tasks of each block.
        chances: for each block the pay-offs of chance [N, T].

    Returns:
        The records; the score under a one-step condition is now what the disturbed act is worth on the subject's own
        task if the condition is judged, and NaN otherwise. And for every condition with donors' pasts, by label, a
        comparison for each block; without those that the family cannot judge.
    """
    result: dict[tuple[str, Place], Record] = dict(records)
    transplants: dict[str, list[Transplant]] = {}
    for b, block_tasks in enumerate(tasks):
        single = {c: records[c.label, (b,)] for c in conditions if c.one_step}
        judged = {c: record for c, record in single.items() if c.judged}
        judgements = _judge_block(family, block_tasks, split, judged, records.get(("intact", (b,))))
        for condition, record in single.items():
            worth, transplant = judgements.get(condition, (None, None))
            score = np.full(np.shape(record.score), np.nan) if worth is None else (worth + chances[b]).T
            result[condition.label, (b,)] = record._replace(score=score)
            if transplant is not None:
                transplants.setdefault(condition.label, []).append(transplant)
    return result, transplants


def _judge_block(
    family: Family, tasks: Any, split: str, records: Mapping[Condition, Record], intact: Record | None
) -> dict[Condition, tuple[np.ndarray, Transplant | None]]:
    """What the acts of one block pay beyond chance on their own tasks [N, T], and how they compare with a donor's past.

    One-step conditions leave lifetimes undisturbed, so all of them show the same observations, and what every action
    pays to every lifetime is computed once. The result is empty if the family cannot judge.
    """
    observation, action = _by_lifetime(next(iter(records.values()))) if records else (None, np.empty((0, 0, 0)))
    if observation is None or action.ndim > 2 or family.worth(tasks, split, observation[:1], action[:1]) is None:
        return {}
    lifetimes, trials = action.shape
    size = lifetimes * trials * (family.choices if _is_ranked(family) else 1)
    step = max(1, CHUNK // size)
    parts: dict[Condition, list[tuple[np.ndarray, Transplant | None]]] = {c: [] for c in records}
    for start in range(0, lifetimes, step):
        rows = np.arange(start, min(start + step, lifetimes))
        payoffs = Payoffs(family, tasks, split, observation[rows])
        for condition, record in records.items():
            action = _by_lifetime(record)[1]
            own = payoffs.of(action[rows])[np.arange(len(rows)), :, rows]
            compared = None
            if condition.seam is not None and intact is not None:
                at_seam = np.roll(np.asarray(intact.action).T, condition.seam, 1)
                differs = (at_seam[None] != at_seam[rows, None]).swapaxes(1, 2)  # [n, T, M]
                compared = _compare(payoffs, action[rows], np.asarray(record.partner).T[rows], differs, rows)
            parts[condition].append((own, compared))
    return {c: _join_rows(of_rows) for c, of_rows in parts.items()}


def _join_rows(parts: Sequence[tuple[np.ndarray, Transplant | None]]) -> tuple[np.ndarray, Transplant | None]:
    """Joins what `_judge_block` found for consecutive lifetimes."""
    own, compared = zip(*parts, strict=True)
    if compared[0] is None:
        return np.concatenate(own), None
    return np.concatenate(own), Transplant(*(np.concatenate(x) for x in zip(*compared, strict=True)))


def _is_ranked(family: Family) -> bool:
    """Whether a family has so few actions that all of them are evaluated."""
    return family.choices is not None and family.choices <= RANKED


class Payoffs:
    """What actions pay beyond chance on all M tasks of a block, to n lifetimes with these observations [n, T, D].

    Attributes:
        best: the best action on every task [n, T, M].
        every: what each action pays [n or 1, T, K, M]; None if there are too many actions or if they are real.
    """

    def __init__(self, family: Family, tasks: Any, split: str, observation: np.ndarray):
        self.inputs = family, tasks, split, observation
        self.every, shape = None, observation.shape[:2]
        if _is_ranked(family):
            values: list[Any] = [
                family.worth(tasks, split, observation, np.full(shape, a)) for a in range(family.choices or 0)
            ]
            self.every = np.stack(values, 2)
        self.best: Any = family.best_actions(tasks, split, observation)

    def of(self, action: np.ndarray) -> np.ndarray:
        """What actions [n, T] or [n, T, M] pay on every task [n, T, M]."""
        if self.every is not None:
            return take_choice(self.every, action)
        family, tasks, split, observation = self.inputs
        worth: Any = family.worth(tasks, split, observation, action)
        return worth


def _compare(
    payoffs: Payoffs, action: np.ndarray, donor: np.ndarray, differs: np.ndarray, rows: np.ndarray
) -> Transplant:
    """How some lifetimes' acts compare with their donors' pasts.

    Args:
        payoffs: what actions pay these lifetimes.
        action: the acts with the donor's past [n, T].
        donor: the lifetime whose past it is [n, T].
        differs: whether the act at the seam differs from that of each lifetime of the block [n, T, M].
        rows: the indices of these lifetimes in the block.
    """
    lifetimes = np.arange(len(rows))
    there = donor[..., None]
    others = np.ones(differs.shape, np.float32)
    np.put_along_axis(others, there, 0.0, -1)
    others[lifetimes, :, rows] = 0.0
    among = others * differs
    strict_counts = np.take_along_axis(differs, there, -1)[..., 0] & among.any(-1)

    def on_donor(values: np.ndarray) -> np.ndarray:
        """The values [n, T] on the donor's task, of those on every task."""
        return np.take_along_axis(np.broadcast_to(values, differs.shape), there, -1)[..., 0]

    def compare_with(act: np.ndarray, compared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """[n, T] What acts pay on the donor's task, minus the mean on each group of other tasks."""
        worth = np.broadcast_to(payoffs.of(act), differs.shape)
        return [on_donor(worth) - np.einsum("ntm,ntm->nt", worth, c) / np.maximum(c.sum(-1), 1) for c in compared]

    best = on_donor(payoffs.best)
    gain, strict = compare_with(action, [others, among])
    (room,) = compare_with(best, [others])
    strict, strict_all, strict_room = (np.where(strict_counts, x, 0.0) for x in (strict, gain, room))
    if payoffs.every is not None:
        paid = [on_donor(payoffs.every[:, :, a]) for a in range(payoffs.every.shape[2])]
        ranks = np.argsort(-np.stack(paid, -1), -1, kind="stable")
    else:
        real = payoffs.inputs[0].choices is None
        ranks = np.zeros((*best.shape, 0)) if real else best[..., None]
    return Transplant(gain, room, strict, strict_all, strict_room, ranks.astype(np.int16))


def _by_lifetime(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """The observations [N, T, D] and the actions [N, T] of a record."""
    return np.moveaxis(np.asarray(record.observation), 1, 0), np.asarray(record.action).T
