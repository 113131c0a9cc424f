"""Counts of correct actions by ticks, by depth and at a change, for the search metrics and the search axis.

The depth of a choice is the number of steps that a planner must look ahead to find a best action. In shapes, N is the
number of lifetimes, T the number of trials, and S the number of steps in a trial.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import ActionConsequences, AllowsPlanning, DoesNotApply, find_family
from mesascope.errors import MesascopeError

TOLERANCE = 1e-9  # values that differ by at most this count as equal


class ActionCounts(NamedTuple):
    """The number of correct actions, and of all actions that count, in each lifetime [N]."""

    correct_count: np.ndarray
    total_count: np.ndarray

    def mean(self) -> float | None:
        """Computes the share of correct actions over all lifetimes; None if no action counts."""
        return float(self.correct_count.sum() / self.total_count.sum()) if self.total_count.sum() else None

    def resample(self, weights: np.ndarray) -> np.ndarray:
        """Computes the share of correct actions in each resample; NaN if no action counts.

        Args:
            weights: [resamples, N] the weights of the lifetimes.
        """
        total = weights @ self.total_count
        return np.where(total > 0, (weights @ self.correct_count) / np.maximum(total, 1e-9), np.nan)


def find_consequences(replay: Any, trials: xr.Dataset, condition: str = "intact") -> ActionConsequences:
    """Evaluates the consequences of actions in the trials of one split, with the family that the trials name.

    Raises:
        DoesNotApply: the family is not available or does not allow planning, or the observations were not saved.
    """
    family = find_family(replay, trials)
    if not isinstance(family, AllowsPlanning):
        raise DoesNotApply("planning is not possible in its tasks")
    try:
        return family.evaluate_consequences(trials, condition)
    except MesascopeError as error:
        raise DoesNotApply(error.problem) from None


def find_conditions_by_ticks(trials: xr.Dataset) -> dict[int, str]:
    """Finds the conditions 'intact' and 'thinking:ticks=n' by their number of ticks, in the order of the data set."""
    labels = {}
    for label in trials.condition.values.tolist():
        name, _, ticks = label.partition("=")
        if label == "intact":
            labels[1] = label
        elif name == "thinking:ticks" and ticks.isdecimal():
            labels[int(ticks)] = label
    return labels


def find_correct_actions(consequences: ActionConsequences) -> tuple[np.ndarray, np.ndarray]:
    """Finds two masks [N, T, S]: steps at which the subject took a best action, and steps that count.

    A step counts if the subject acted and the actions differed in value.
    """
    chosen = np.take_along_axis(consequences.values, np.maximum(consequences.action, 0)[..., None], -1)[..., 0]
    differ = np.ptp(consequences.values, -1) > TOLERANCE
    return chosen >= consequences.values.max(-1) - TOLERANCE, differ & (consequences.action >= 0)


def count_correct_by_depth(consequences: ActionConsequences) -> dict[int, ActionCounts]:
    """Counts correct actions by depth, on the first trial of fully observed problems."""
    right, eligible = find_correct_actions(consequences)
    eligible, far = eligible[:, 0] & consequences.is_observed[:, 0, None], consequences.depths[:, 0]
    counts = {}
    for steps in np.unique(far).tolist():
        included = eligible & (far == steps)
        counts[steps] = ActionCounts((right[:, 0] & included).sum(-1), included.sum(-1))
    return counts


def compute_mean_choices(consequences: ActionConsequences, depth: int) -> float:
    """Computes the harmonic mean of the number of useful actions at a depth on the first trial.

    Its inverse is the chance level. An action is useful if it changes the state. If this is not known, all actions are.
    """
    eligible = (
        find_correct_actions(consequences)[1][:, 0]
        & consequences.is_observed[:, 0, None]
        & (consequences.depths[:, 0] == depth)
    )
    if consequences.useful_action_counts is None or not eligible.any():
        return float(consequences.values.shape[-1])
    return float(1 / (1 / np.maximum(consequences.useful_action_counts[:, 0], 1)[eligible]).mean())


def count_followed_changes(
    consequences: ActionConsequences, change_trial: int, min_depth: int = 2, max_depth: int = 0
) -> ActionCounts:
    """Counts actions on the trial of a change that follow the change: they are now best.

    All actions count for which the same state occurred one trial earlier, the action taken there was the best one, and
    another action is best now.

    Args:
        consequences: the consequences of actions in the trials.
        change_trial: the index of the trial at which the task changes.
        min_depth: the smallest depth that counts.
        max_depth: the largest depth that counts; 0 for any.
    """
    now, old, last = (
        consequences.values[:, change_trial],
        consequences.earlier_values[:, change_trial],
        consequences.values[:, change_trial - 1],
    )
    before, action = consequences.action[:, change_trial - 1], consequences.action[:, change_trial]
    same = np.isclose(old, last).all(-1)  # the same state as one trial earlier
    differ = (np.ptp(now, -1) > TOLERANCE) & (np.ptp(old, -1) > TOLERANCE) & (now.argmax(-1) != old.argmax(-1))
    far = consequences.depths[:, change_trial]
    within = (far >= min_depth) & ((far <= max_depth) if max_depth else True)
    eligible = (
        same
        & differ
        & within
        & (before == old.argmax(-1))
        & (action >= 0)
        & consequences.is_observed[:, change_trial, None]
    )
    return ActionCounts((eligible & (action == now.argmax(-1))).sum(-1), eligible.sum(-1))
