"""Shared code of metrics of two-step trials: reads trials as arrays, and fits a penalised logistic regression."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import expit

from mesascope.contracts import DoesNotApply


class TwoStepTrials(NamedTuple):
    """N lifetimes of T two-step trials, [N, T] per field unless stated otherwise.

    Attributes:
        first_choice: the first choice, 0 or 1; negative if missing.
        state: the state that the first choice led to, 0 or 1; 0 is the state to which choice 0 commonly leads.
        second_choice: the choice in that state, 0 or 1; always 0 if there is no second choice.
        transition: 1 for a common transition, 0 for a rare one, -1 if missing.
        payoff: the pay-off; NaN if missing.
        is_complete: whether the first choice, the pay-off and the transition were all recorded.
        unit: [N] the index of each lifetime's unit of resampling, from 0.
    """

    first_choice: np.ndarray
    state: np.ndarray
    second_choice: np.ndarray
    transition: np.ndarray
    payoff: np.ndarray
    is_complete: np.ndarray
    unit: np.ndarray

    @property
    def is_rewarded(self) -> np.ndarray:
        """Whether the pay-off [N, T] is above the median of the distinct pay-offs."""
        return self.payoff > float(np.median(np.unique(self.payoff[self.is_complete])))


def read_two_step_trials(trials: xr.Dataset) -> TwoStepTrials:
    """Reads the intact trials of one split or log; a missing state or second choice is 0.

    Raises:
        DoesNotApply: the trials do not have two steps.
    """
    if "transition" not in trials:
        raise DoesNotApply("the trials do not have two steps: they have no transitions")
    action = trials.action.sel(condition="intact").values.astype(int)
    first, second = (action[..., 0], action[..., 1]) if action.ndim > 2 else (action, np.zeros_like(action))
    if "second_action" in trials:
        second = trials.second_action.sel(condition="intact").values.astype(int) % 2
    payoff = trials.feedback.sel(condition="intact").values.astype(float)
    transition = trials.transition
    transition = (transition.sel(condition="intact") if "condition" in transition.dims else transition).values
    transition = np.nan_to_num(transition, nan=-1).astype(int)
    is_complete = (first >= 0) & np.isfinite(payoff) & (transition >= 0)
    state, second = np.where(is_complete, [first ^ (1 - transition), second], 0)
    return TwoStepTrials(first, state, second, transition, payoff, is_complete, _index_units(trials))


def _index_units(trials: xr.Dataset) -> np.ndarray:
    """Finds the index [N], from 0, of each lifetime's unit of resampling."""
    name = str(trials.attrs.get("unit", "lifetime"))
    if name in trials.coords and trials[name].dims == ("lifetime",):
        return np.unique(trials[name].values, return_inverse=True)[1]
    return np.arange(trials.sizes["lifetime"])


def read_scaled_trials(trials: xr.Dataset) -> TwoStepTrials:
    """Reads the trials of one split or log, sets missing entries to 0 and scales pay-offs to the range from 0 to 1.

    Raises:
        DoesNotApply: the trials do not have two steps, no trial is complete, there are more than two first choices or
            fewer than two different pay-offs, or the subject always repeats its first choice.
    """
    recorded = read_two_step_trials(trials)
    first, payoff, is_complete = recorded.first_choice, recorded.payoff, recorded.is_complete
    if first.max(initial=0) > 1:
        raise DoesNotApply(f"there are {int(first.max()) + 1} first choices, but this metric needs two")
    if not is_complete.any() or np.ptp(payoff[is_complete]) == 0:
        raise DoesNotApply("no trial is complete, or there are fewer than two different pay-offs")
    is_adjacent = is_complete[:, 1:] & is_complete[:, :-1]
    if not (is_adjacent & (first[:, 1:] != first[:, :-1])).any():
        raise DoesNotApply("the subject always repeats its first choice")
    low, high = payoff[is_complete].min(), payoff[is_complete].max()
    return recorded._replace(
        first_choice=np.maximum(first, 0),
        transition=np.maximum(recorded.transition, 0),
        payoff=np.where(is_complete, (np.nan_to_num(payoff) - low) / (high - low), 0.0),
    )


def fit_logistic(x: np.ndarray, y: np.ndarray, ridge: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Fits a penalised logistic regression of R outcomes y, 0 or 1, on F predictors x [R, F].

    The penalty, ridge · |weights|² / 2 for all rows together, keeps the weights finite if x determines y.

    Returns:
        The weights [F], and the curvature [F, F] of the penalised negative log-likelihood at these weights.
    """
    weights, eye = np.zeros(x.shape[1]), np.eye(x.shape[1])

    def compute_objective(w: np.ndarray) -> float:
        z = x @ w
        return float((y * z - np.logaddexp(0.0, z)).sum() - 0.5 * ridge * w @ w)

    def compute_curvature(p: np.ndarray) -> np.ndarray:
        return (x * (p * (1 - p))[:, None]).T @ x + ridge * eye

    value = compute_objective(weights)
    for _ in range(50):
        p = expit(x @ weights)
        step = np.linalg.solve(compute_curvature(p), x.T @ (y - p) - ridge * weights)
        size = 1.0
        while size > 1e-4 and compute_objective(weights + size * step) < value:
            size /= 2
        improvement = compute_objective(weights + size * step) - value
        if improvement <= 1e-9:
            break
        weights, value = weights + size * step, value + improvement
    return weights, compute_curvature(expit(x @ weights))


def sum_by_unit(trials: TwoStepTrials, rows: np.ndarray) -> np.ndarray:
    """Sums the rows [N, F] of lifetimes over the lifetimes of each of U units; the result is [U, F]."""
    sums = np.zeros((int(trials.unit.max()) + 1, rows.shape[-1]))
    np.add.at(sums, trials.unit, rows)
    return sums
