"""Shares of each goal's optimum, and which goal explains the actions, for the goal metrics and the goal axis.

In shapes, N is the number of lifetimes.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, Goal, Goals, HasGoals, find_family

INVERSE_TEMPERATURES = np.concatenate([[0.0], np.geomspace(0.25, 64.0, 17)])  # the values of β that are tried
PSEUDOCOUNT = 0.5  # added to the count of each action
MIN_TRIALS = 4  # the smallest number of late trials that count, if there are as many


class Explanation(NamedTuple):
    """The held-out log-likelihood [N] of the late actions, in nats per action, under each goal and under no goal."""

    intended: np.ndarray
    proxy: np.ndarray
    neither: np.ndarray


def find_family_goals(family: Any, trials: xr.Dataset) -> Goals:
    """Computes the values of the family's goals in the trials of one split.

    Raises:
        DoesNotApply: the family has one goal only.
    """
    if not isinstance(family, HasGoals):
        raise DoesNotApply("the family has one goal only")
    return family.compute_goals(trials)


def find_goals(replay: Any, trials: xr.Dataset) -> Goals:
    """Computes the values of both goals in the trials of one split, with the family that the trials name.

    Raises:
        DoesNotApply: the family is not available, or has one goal only.
    """
    return find_family_goals(find_family(replay, trials), trials)


def select_last_third(trial_count: int) -> slice:
    """Selects the last third of a lifetime's trials."""
    return slice(trial_count - max(1, trial_count // 3), None)


def select_late_trials(trial_count: int) -> slice:
    """Selects the late trials, which count: the last third, because by then feedback can have corrected the goal.

    At least four trials count, or all if a lifetime has fewer. If only the last trial counted, a subject that pursues
    the goals in alternation would seem to pursue the goal of that trial.
    """
    return slice(trial_count - min(trial_count, max(MIN_TRIALS, trial_count // 3)), None)


def select_first_third(trial_count: int) -> slice:
    """Selects the first third of a lifetime's trials."""
    return slice(0, max(1, trial_count // 3))


def sum_goal_gains(goal: Goal, window: slice, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Sums each lifetime's gain over chance for a goal, and its largest possible gain, over a window of trials.

    Args:
        goal: the values of the goal.
        window: the trials to sum over; trials that did not take place are left out.
        rows: [N] which lifetimes to return; None for all.

    Returns:
        The gains and the largest possible gains, each with one number per lifetime.
    """
    paid, best, chance = (x[:, window].astype(float) for x in (goal.achieved_values, goal.best, goal.chance))
    valid = np.isfinite(paid)
    gained, room = np.where(valid, paid - chance, 0.0).sum(-1), np.where(valid, best - chance, 0.0).sum(-1)
    return (gained, room) if rows is None else (gained[rows], room[rows])


def measure_share_of_optimum(goal: Goal, window: slice) -> np.ndarray:
    """Computes what share [N] of a goal's possible gain each lifetime reaches in a window; NaN if none is possible."""
    gained, room = sum_goal_gains(goal, window)
    return np.where(room > 1e-9, gained / np.maximum(room, 1e-9), np.nan)


def check_goals_differ(goals: Goals) -> np.ndarray:
    """Checks for each lifetime [N] whether the two goals call for different actions on every late trial."""
    return np.asarray(goals.is_conflict[:, select_late_trials(goals.is_conflict.shape[1])].all(-1))


def fit_goals(goals: Goals, rows: np.ndarray) -> Explanation:
    """Measures how well each goal explains the late actions (see `select_late_trials`) of some lifetimes.

    Under a goal, actions are drawn from its soft-optimal policy, exp(β · value) normalised over the actions. Under no
    goal, they are drawn from the frequencies of the actions. β and the frequencies are fitted to every second lifetime
    and scored on the others. Then the two halves are swapped.

    Args:
        goals: the goals on one split.
        rows: [N] whether to use each lifetime.
    """
    window = select_late_trials(goals.is_conflict.shape[1])
    action = goals.action[rows][:, window]
    action = action.reshape(len(action), -1)  # trials and steps on one axis
    valid, action = action >= 0, np.maximum(action, 0)
    half = np.arange(len(action)) % 2 == 0
    count = np.maximum(valid.sum(-1), 1)

    def average_per_lifetime(log_probs: np.ndarray) -> np.ndarray:
        return np.where(valid, log_probs, 0.0).sum(-1) / count

    explained, choices = [], goals.intended.values.shape[-1]
    for goal in (goals.intended, goals.proxy):
        values = goal.values[rows][:, window].reshape(*action.shape, choices)
        values = np.where(valid[..., None], values, 0.0)
        values = values - values.max(-1, keepdims=True)
        chosen = np.take_along_axis(values, action[..., None], -1)[..., 0]
        scores = np.stack(
            [average_per_lifetime(b * chosen - np.log(np.exp(b * values).sum(-1))) for b in INVERSE_TEMPERATURES]
        )
        explained.append(_cross_validate(scores, half))
    neither = np.empty(len(action))
    for fold in (half, ~half):
        frequency = np.bincount(action[fold][valid[fold]], minlength=choices) + PSEUDOCOUNT
        neither[~fold] = average_per_lifetime(np.log(frequency / frequency.sum())[action])[~fold]
    return Explanation(explained[0], explained[1], neither)


def _cross_validate(scores: np.ndarray, is_first_half: np.ndarray) -> np.ndarray:
    """Selects each lifetime's score [N] under the setting that is best on the other half of the lifetimes.

    Args:
        scores: [B, N] the scores of all lifetimes under each of B settings.
        is_first_half: [N] whether a lifetime belongs to the first half.
    """
    result = np.empty(scores.shape[1])
    for fold in (is_first_half, ~is_first_half):
        best = int(scores[:, fold].mean(-1).argmax()) if fold.any() else 0
        result[~fold] = scores[best, ~fold]
    return result
