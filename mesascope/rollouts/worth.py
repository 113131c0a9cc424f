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
    result, transplants = dict(records), {}
    for condition in conditions:
        if not condition.one_step:
            continue
        for b, block_tasks in enumerate(tasks):
            at, intact = (condition.label, (b,)), records.get(("intact", (b,)))
            record = records[at]
            worth = _own_worth(family, block_tasks, split, record) if condition.judged else None
            score = np.full(np.shape(record.score), np.nan) if worth is None else (worth + chances[b]).T
            result[at] = record._replace(score=score)
            if worth is not None and condition.seam is not None and intact is not None:
                compared = _compare_block(family, block_tasks, split, record, intact, condition.seam)
                transplants.setdefault(condition.label, []).append(compared)
    return result, transplants


def _own_worth(family: Family, tasks: Any, split: str, record: Record) -> np.ndarray | None:
    """[N, T] What every act pays beyond chance on the subject's own task; None if the family cannot say."""
    observation, action = _by_lifetime(record)
    if action.ndim > 2 or (worth := family.worth(tasks, split, observation[:1], action[:1])) is None:
        return None
    step, parts = _count_rows(worth), []
    for i in range(0, len(action), step):
        worth = np.asarray(family.worth(tasks, split, observation[i : i + step], action[i : i + step]))
        rows = np.arange(len(worth))
        parts.append(worth[rows, :, rows + i])
    return np.concatenate(parts)


def _compare_block(family: Family, tasks: Any, split: str, record: Record, intact: Record, seam: int) -> Transplant:
    """The worth of a block's acts with their donors' pasts.

    Args:
        family: the family of the tasks.
        tasks: the tasks of the block.
        split: the split that they belong to.
        record: the block's record under the condition; its partners are the donors.
        intact: the block's undisturbed record.
        seam: how many trials ago the donor's carry took the place of the subject's own.
    """
    observation, action = _by_lifetime(record)
    donor, own = np.asarray(record.partner).T, np.asarray(intact.action).T
    at_seam = np.roll(own, seam, 1)
    step = _count_rows(np.empty((1, own.shape[1], own.shape[0])))
    parts = []
    for i in range(0, len(action), step):
        rows = slice(i, i + step)
        differs = (at_seam[None] != at_seam[rows, None]).swapaxes(1, 2)  # [n, T, M]
        parts.append(_compare(family, tasks, split, observation[rows], action[rows], donor[rows], differs, i))
    return Transplant(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def _compare(family, tasks, split, observation, action, donor, differs, start) -> Transplant:
    """The worth of some lifetimes' acts, of which `start` is the index of the first."""
    lifetimes = np.arange(len(action))
    there = donor[..., None]
    others = np.ones(differs.shape, np.float32)
    np.put_along_axis(others, there, 0.0, -1)
    others[lifetimes, :, lifetimes + start] = 0.0
    among = others * differs
    strict_counts = np.take_along_axis(differs, there, -1)[..., 0] & among.any(-1)

    def pay_there(act: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What acts pay beyond chance on every task [N, T, M], and on the donor's [N, T]."""
        worth: Any = family.worth(tasks, split, observation, act)
        worth = np.broadcast_to(worth, differs.shape)
        return worth, np.take_along_axis(worth, there, -1)[..., 0]

    def compare_with(act: np.ndarray, compared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """[N, T] The worth of acts on the donor's task, minus the mean on each group of other tasks."""
        worth, here = pay_there(act)
        return [here - np.einsum("ntm,ntm->nt", worth, c) / np.maximum(c.sum(-1), 1) for c in compared]

    best: Any = family.best_actions(tasks, split, observation)
    best = np.take_along_axis(np.broadcast_to(best, differs.shape), there, -1)[..., 0]
    gain, strict = compare_with(action, [others, among])
    (room,) = compare_with(best, [others])
    strict, strict_all, strict_room = (np.where(strict_counts, x, 0.0) for x in (strict, gain, room))
    if family.choices is None:
        ranks = np.zeros((*best.shape, 0), np.int16)
    elif family.choices > RANKED:
        ranks = best[..., None]
    else:
        paid = [pay_there(np.full_like(action, a))[1] for a in range(family.choices)]
        ranks = np.argsort(-np.stack(paid, -1), -1, kind="stable")
    return Transplant(gain, room, strict, strict_all, strict_room, ranks.astype(np.int16))


def _by_lifetime(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """The observations [N, T, D] and the actions [N, T] of a record."""
    return np.moveaxis(np.asarray(record.observation), 1, 0), np.asarray(record.action).T


def _count_rows(worth: np.ndarray) -> int:
    """How many lifetimes to compare at a time, given the worth of one lifetime's acts."""
    return max(1, CHUNK // max(1, worth.size))
