"""Computes the worth of actions under one-step conditions, on the subject's own task and on a donor's task.

If a lifetime has a donor's past before its last trials, its actions may suit the donor's task. The worth of an action
on that task is compared with its worth on the tasks of the other lifetimes of the block. If a policy uses only the
recipient's last trials, the trial number and chance, its actions are independent of the donor. The expected difference
is then 0.

If trials have several steps, the first action of each trial is valued. Its worth is not comparable with the pay-off of
a whole trial. So the trials also contain the worth of the undisturbed first action (`act_worth`) and the worth of the
best first action (`act_room`), as for every family whose `has_payoff_values` is False.

In shapes, N is the number of lifetimes in a block, n of some of them, T of trials in a lifetime, M of tasks in the
block (as many as lifetimes), K of actions, and D of numbers in an observation. w is the number of trials since the
transplant.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mesascope.contracts import Condition, Family, compute_values_by_action, select_payoffs
from mesascope.rollouts.blocks import BlockAddress, Record

MAX_ARRAY_SIZE = 1 << 22  # the maximum number of numbers in one array
MAX_RANKED_CHOICES = 8  # if there are more choices, only the best choice on the donor's task is stored


class Transplant(NamedTuple):
    """The worth of actions after a transplant of a donor's carry, each [N, T].

    A trial is strict if the action w trials back of the donor, and of at least one further lifetime, differed from the
    subject's action w trials back. On trials without an answer of the subject, all values but the ranks are 0.

    Attributes:
        gain: the worth of the action on the donor's task, minus its mean worth on the tasks of all other lifetimes.
        room: the same difference for the best action on the donor's task.
        strict: on strict trials, the worth of the action on the donor's task, minus its mean worth on the tasks of only
            those other lifetimes whose action w trials back also differed from the subject's; 0 on other trials.
        strict_all: the gain on strict trials; 0 on other trials.
        strict_room: the room on strict trials; 0 on other trials.
        ranks: [N, T, R] the R = K actions from the best to the worst on the donor's task; only the best action (R = 1)
            if there are over MAX_RANKED_CHOICES choices, and none (R = 0) if actions are real.
    """

    gain: np.ndarray
    room: np.ndarray
    strict: np.ndarray
    strict_all: np.ndarray
    strict_room: np.ndarray
    ranks: np.ndarray


def value_disturbed_actions(
    family: Family,
    split: str,
    conditions: Sequence[Condition],
    records: Mapping[tuple[str, BlockAddress], Record],
    *,
    tasks: Sequence[Any],
    chances: Sequence[np.ndarray],
) -> tuple[dict[tuple[str, BlockAddress], Record], dict[str, list[Transplant]], list[dict[str, np.ndarray]]]:
    """Computes the scores under one-step conditions, and the worth of actions after transplants.

    Args:
        family: the family of the tasks.
        split: the split of the tasks.
        conditions: all conditions of the rollout.
        records: the record of each block under each condition, by the condition's label and the block's address.
        tasks: the tasks of each block.
        chances: for each block, the expected pay-offs [N, T] of random actions.

    Returns:
        Three results:

        - The records. Under a one-step condition, the score is now chance plus the worth of the disturbed action on the
          subject's own task. It is NaN if rollouts do not record this worth for the condition, or if the family cannot
          value single actions.
        - For each condition with transplants, by its label: one `Transplant` per block. Empty if the family cannot
          value single actions, or if the intact condition was not run.
        - For each block: the variables `act_worth` and `act_room` [N, T] of the intact actions, if the family can value
          single actions and its `has_payoff_values` is False, as for trials with several steps.
    """
    result: dict[tuple[str, BlockAddress], Record] = dict(records)
    transplants: dict[str, list[Transplant]] = {}
    first_action_values: list[dict[str, np.ndarray]] = []
    for b, block_tasks in enumerate(tasks):
        single = {c: records[c.label, (b,)] for c in conditions if c.is_one_step}
        judged = {c: record for c, record in single.items() if c.is_worth_recorded}
        intact = records.get(("intact", (b,)))
        judgements, block_first_acts = _value_block_actions(family, block_tasks, split, judged, intact)
        first_action_values.append(block_first_acts)
        for condition, record in single.items():
            worth, transplant = judgements.get(condition, (None, None))
            score = np.full(np.shape(record.score), np.nan) if worth is None else (worth + chances[b]).T
            result[condition.label, (b,)] = record._replace(score=score)
            if transplant is not None:
                transplants.setdefault(condition.label, []).append(transplant)
    return result, transplants, first_action_values


def _value_block_actions(
    family: Family, tasks: Any, split: str, records: Mapping[Condition, Record], intact_record: Record | None
) -> tuple[dict[Condition, tuple[np.ndarray, Transplant | None]], dict[str, np.ndarray]]:
    """Computes the worth of a block's actions on the subject's own tasks and, after transplants, on the donors' tasks.

    One-step conditions leave lifetimes undisturbed, so the observations are the same under all of them, and the worth
    of every action in every lifetime is computed once. The results are empty if the family cannot value single actions.

    Returns:
        Two dictionaries. The first one contains, for each condition, the worth [N, T] on the subject's own tasks and
        the `Transplant` (None if the condition is not a transplant, or without an intact record). The second one
        contains `act_worth` and `act_room` [N, T] if there is an intact record and the family's `has_payoff_values` is
        False; otherwise it is empty.
    """
    observation, action = _arrange_by_lifetime(next(iter(records.values()))) if records else (None, np.empty((0, 0, 0)))
    if observation is None or family.compute_action_values(tasks, split, observation[:1], action[:1]) is None:
        return {}, {}
    lifetimes, trials = action.shape[:2]
    size = lifetimes * trials * (family.choices if _is_ranked(family) else 1)
    step = max(1, MAX_ARRAY_SIZE // size)
    parts: dict[Condition, list[tuple[np.ndarray, Transplant | None]]] = {c: [] for c in records}
    own_action = None if intact_record is None else _arrange_actions(intact_record)
    undisturbed: dict[str, list[np.ndarray]] = {"act_worth": [], "act_room": []}
    for start in range(0, lifetimes, step):
        rows = np.arange(start, min(start + step, lifetimes))
        payoffs = Payoffs(family, tasks, split, observation[rows])
        if own_action is not None and not family.has_payoff_values:
            for values, first in zip(undisturbed.values(), (own_action[rows], payoffs.best_actions), strict=True):
                values.append(payoffs.evaluate(first)[np.arange(len(rows)), :, rows])
        for condition, record in records.items():
            action = _arrange_actions(record)
            own = payoffs.evaluate(action[rows])[np.arange(len(rows)), :, rows]
            is_missing = (action[rows] < 0) & (family.choices is not None)  # a language model gave no label
            own = np.where(is_missing, np.nan, own)
            compared = None
            if condition.trials_since_transplant is not None and own_action is not None:
                at_seam = np.roll(own_action, condition.trials_since_transplant, 1)
                differs = (at_seam[None] != at_seam[rows, None]).swapaxes(1, 2)  # [n, T, M]
                compared = _compare_tasks(payoffs, action[rows], np.asarray(record.partner).T[rows], differs, rows)
                compared = Transplant(*(np.where(is_missing, 0.0, x) for x in compared[:-1]), ranks=compared.ranks)
            parts[condition].append((own, compared))
    first_action_values = {name: np.concatenate(values) for name, values in undisturbed.items() if values}
    return {c: _join_rows(of_rows) for c, of_rows in parts.items()}, first_action_values


def _join_rows(parts: Sequence[tuple[np.ndarray, Transplant | None]]) -> tuple[np.ndarray, Transplant | None]:
    """Joins the worth and the transplants of consecutive groups of lifetimes under one condition."""
    own, compared = zip(*parts, strict=True)
    if compared[0] is None:
        return np.concatenate(own), None
    return np.concatenate(own), Transplant(*(np.concatenate(x) for x in zip(*compared, strict=True)))


def _is_ranked(family: Family) -> bool:
    """Checks whether a family has so few actions that all of them are evaluated."""
    return family.choices is not None and family.choices <= MAX_RANKED_CHOICES


class Payoffs:
    """The worth of actions on all M tasks of a block, for n lifetimes whose observations [n, T, D] are given.

    The worth of an action is its expected pay-off minus the pay-off of chance.

    Attributes:
        best_actions: [n or 1, T, M] the best action on every task.
        values_by_action: [n or 1, T, K, M] the worth of each action; None if there are over MAX_RANKED_CHOICES actions,
            or if actions are real.
    """

    def __init__(self, family: Family, tasks: Any, split: str, observation: np.ndarray):
        self.inputs = family, tasks, split, observation
        self.values_by_action, shape = None, observation.shape[:2]
        if _is_ranked(family) and type(family).compute_action_values is Family.compute_action_values:
            self.values_by_action = compute_values_by_action(
                family.compute_latents(tasks, split)
            )  # for any observation
        elif _is_ranked(family):
            values: list[Any] = [
                family.compute_action_values(tasks, split, observation, np.full(shape, a))
                for a in range(family.choices or 0)
            ]
            self.values_by_action = np.stack(values, 2)
        best: Any
        if self.values_by_action is not None and type(family).find_best_actions is Family.find_best_actions:
            best = self.values_by_action.argmax(2)
        else:
            best = family.find_best_actions(tasks, split, observation)
        self.best_actions = best

    def evaluate(self, action: np.ndarray) -> np.ndarray:
        """Computes the worth [n, T, M] of actions [n, T] or [n, T, M] on every task."""
        if self.values_by_action is not None:
            return select_payoffs(self.values_by_action, action)
        family, tasks, split, observation = self.inputs
        worth: Any = family.compute_action_values(tasks, split, observation, action)
        return worth


def _compare_tasks(
    payoffs: Payoffs, action: np.ndarray, donor: np.ndarray, is_different: np.ndarray, rows: np.ndarray
) -> Transplant:
    """Compares the worth of n lifetimes' actions on the tasks of their donors with the worth on other tasks.

    Args:
        payoffs: the worth of actions in these lifetimes.
        action: [n, T] the actions after the transplant.
        donor: [n, T] the indices of the donors in the block.
        is_different: [n, T, M] whether a lifetime's action w trials back differs from the action w trials back in each
            lifetime of the block.
        rows: the indices of the n lifetimes in the block.
    """
    lifetimes = np.arange(len(rows))
    donor_index = donor[..., None]
    others = np.ones(is_different.shape, np.float32)
    np.put_along_axis(others, donor_index, 0.0, -1)
    others[lifetimes, :, rows] = 0.0
    strict_others = others * is_different
    strict_counts = np.take_along_axis(is_different, donor_index, -1)[..., 0] & strict_others.any(-1)

    def select_donor_task(values: np.ndarray) -> np.ndarray:
        """Selects the values on the donor's task [n, T] from the values on every task [n, T, M]."""
        return np.take_along_axis(np.broadcast_to(values, is_different.shape), donor_index, -1)[..., 0]

    def compare_with(chosen_action: np.ndarray, group_weights: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Computes the worth [n, T] of actions on the donor's task, minus their mean worth on each of several groups.

        A group is an array of weights [n, T, M], 1 for the tasks in the group and 0 for others.
        """
        worth = np.broadcast_to(payoffs.evaluate(chosen_action), is_different.shape)
        return [
            select_donor_task(worth) - np.einsum("ntm,ntm->nt", worth, c) / np.maximum(c.sum(-1), 1)
            for c in group_weights
        ]

    best = select_donor_task(payoffs.best_actions)
    gain, strict = compare_with(action, [others, strict_others])
    (room,) = compare_with(best, [others])
    strict, strict_all, strict_room = (np.where(strict_counts, x, 0.0) for x in (strict, gain, room))
    if payoffs.values_by_action is not None:
        values = np.broadcast_to(payoffs.values_by_action, (len(rows), *payoffs.values_by_action.shape[1:]))
        on_donor_task = np.take_along_axis(values, donor_index[..., None], -1)[..., 0]
        ranks = np.argsort(-on_donor_task, -1, kind="stable")
    else:
        real = payoffs.inputs[0].choices is None
        ranks = np.zeros((*best.shape, 0)) if real else best[..., None]
    return Transplant(gain, room, strict, strict_all, strict_room, ranks.astype(np.int16))


def _arrange_by_lifetime(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Arranges the observations [N, T, D] and the actions [N, T] of a record by lifetime."""
    return np.moveaxis(np.asarray(record.observation), 1, 0), _arrange_actions(record)


def _arrange_actions(record: Record) -> np.ndarray:
    """Arranges the actions [N, T] of a record by lifetime; only the first action if trials have several steps."""
    action = np.asarray(record.action)
    return (action[:, 0] if action.ndim == 3 else action).T
