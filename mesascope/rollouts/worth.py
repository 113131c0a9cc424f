"""What the actions under one-step conditions are worth on the subject's own task, and on a donor's task.

If a lifetime has the older past of a donor, its actions may suit the donor's task. The worth of an action on that task
is compared with its worth on the tasks of the other lifetimes of the block. A policy of the recipient's last trials,
the clock and chance is independent of the donor, so its expected difference is 0.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mesascope.contracts.family import Family
from mesascope.rollouts.blocks import Record

MAX_NUMBERS = 1 << 22  # in one array
MAX_RANKED = 8  # if there are more choices, only the best one on the donor's task is kept


class Transplant(NamedTuple):
    """The worth of actions with a donor's past, [N, T] each.

    Attributes:
        gain: the worth on the donor's task, minus the mean on the tasks of all other lifetimes.
        room: the same difference for the best action on the donor's task.
        strict: the gain on strict trials, whose donor acted differently from the subject at the seam; the mean is over
            the other lifetimes that acted differently, too. It is 0 on other trials.
        strict_all: the gain on strict trials, compared with all other lifetimes; 0 on other trials.
        strict_room: the room on strict trials; 0 on other trials.
        ranks: [N, T, R] the actions from the best to the worst on the donor's task, or the best alone if there are
            many; R is 0 if actions are real.
    """

    gain: np.ndarray
    room: np.ndarray
    strict: np.ndarray
    strict_all: np.ndarray
    strict_room: np.ndarray
    ranks: np.ndarray


def judge(
    family: Family, split: str, conditions, records, *, tasks, chances
) -> tuple[dict[Any, Record], dict[str, Any]]:
    """Replaces the scores of one-step conditions, and compares the worth of actions with donors' pasts.

    Args:
        family: the family of the tasks.
        split: the split that they belong to.
        conditions: the conditions.
        records: the record of each condition's label and block.
        tasks: the tasks of each block.
        chances: for each block the pay-offs of chance [N, T].

    Returns:
        The records: under a one-step condition the score is now the worth of the disturbed action on the subject's own
        task if the condition is judged, and NaN otherwise. By the label of each condition with donors' pasts: one
        comparison per block, unless the family cannot judge it.
    """
    result, transplants = dict(records), {}
    for condition in conditions:
        if not condition.one_step:
            continue
        for b, block_tasks in enumerate(tasks):
            key, intact = (condition.label, (b,)), records.get(("intact", (b,)))
            record = records[key]
            worth = _find_own_worth(family, block_tasks, split, record) if condition.judged else None
            score = np.full(np.shape(record.score), np.nan) if worth is None else (worth + chances[b]).T
            result[key] = record._replace(score=score)
            if worth is not None and condition.seam is not None and intact is not None:
                compared = _compare_block(family, block_tasks, split, record, intact, condition.seam)
                transplants.setdefault(condition.label, []).append(compared)
    return result, transplants


def _find_own_worth(family: Family, tasks: Any, split: str, record: Record) -> np.ndarray | None:
    """[N, T] What every action pays beyond chance on the subject's own task; None if the family cannot say."""
    observation, action = _arrange_by_lifetime(record)
    if action.ndim > 2 or (worth := family.worth(tasks, split, observation[:1], action[:1])) is None:
        return None
    step, parts = _count_rows(worth), []
    for i in range(0, len(action), step):
        worth = np.asarray(family.worth(tasks, split, observation[i : i + step], action[i : i + step]))
        rows = np.arange(len(worth))
        parts.append(worth[rows, :, rows + i])
    return np.concatenate(parts)


def _compare_block(family: Family, tasks: Any, split: str, record: Record, intact: Record, seam: int) -> Transplant:
    """Compares the worth of a block's actions with donors' pasts.

    Args:
        family: the family of the tasks.
        tasks: the tasks of the block.
        split: the split that they belong to.
        record: the block's record under the condition; its partners are the donors.
        intact: the block's undisturbed record.
        seam: how many trials ago the donor's carry took the place of the subject's own.
    """
    observation, action = _arrange_by_lifetime(record)
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
    """Compares the worth of the actions of some lifetimes; `start` is the index of the first one."""
    lifetimes = np.arange(len(action))
    donor_index = donor[..., None]
    others = np.ones(differs.shape, np.float32)
    np.put_along_axis(others, donor_index, 0.0, -1)
    others[lifetimes, :, lifetimes + start] = 0.0
    strict_others = others * differs
    is_strict = np.take_along_axis(differs, donor_index, -1)[..., 0] & strict_others.any(-1)

    def find_worth(action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What actions pay beyond chance on every task [N, T, M], and on the donor's task [N, T]."""
        worth: Any = family.worth(tasks, split, observation, action)
        worth = np.broadcast_to(worth, differs.shape)
        return worth, np.take_along_axis(worth, donor_index, -1)[..., 0]

    def subtract_mean(action: np.ndarray, groups: Sequence[np.ndarray]) -> list[np.ndarray]:
        """[N, T] The worth of actions on the donor's task, minus the mean on each group of other tasks."""
        worth, on_donor = find_worth(action)
        return [on_donor - np.einsum("ntm,ntm->nt", worth, c) / np.maximum(c.sum(-1), 1) for c in groups]

    best: Any = family.best_actions(tasks, split, observation)
    best = np.take_along_axis(np.broadcast_to(best, differs.shape), donor_index, -1)[..., 0]
    gain, strict = subtract_mean(action, [others, strict_others])
    (room,) = subtract_mean(best, [others])
    strict, strict_all, strict_room = (np.where(is_strict, x, 0.0) for x in (strict, gain, room))
    if family.choices is None:
        ranks = np.zeros((*best.shape, 0), np.int16)
    elif family.choices > MAX_RANKED:
        ranks = best[..., None]
    else:
        paid = [find_worth(np.full_like(action, a))[1] for a in range(family.choices)]
        ranks = np.argsort(-np.stack(paid, -1), -1, kind="stable")
    return Transplant(gain, room, strict, strict_all, strict_room, ranks.astype(np.int16))


def _arrange_by_lifetime(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """The observations [N, T, D] and the actions [N, T] of a record."""
    return np.moveaxis(np.asarray(record.observation), 1, 0), np.asarray(record.action).T


def _count_rows(worth: np.ndarray) -> int:
    """How many lifetimes to compare at a time, given the worth of one lifetime's actions."""
    return max(1, MAX_NUMBERS // max(1, worth.size))
