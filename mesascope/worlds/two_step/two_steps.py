"""Shared code of the metrics of two-step trials: the trials as arrays, and a penalised logistic regression."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import expit

from mesascope.contracts.metric import DoesNotApply


class Steps(NamedTuple):
    """Two-step trials [N, T].

    Attributes:
        first: the first choice, 0 or 1.
        place: the state that it led to; 0 is the common state of choice 0.
        second: the choice in that state, 0 or 1; always 0 if there is no second choice.
        common: 1 for a common transition, 0 for a rare one.
        paid: the pay-off, from 0 to 1.
        complete: whether the whole trial was recorded.
        unit: [N] the index of each lifetime's unit of resampling, from 0.
    """

    first: np.ndarray
    place: np.ndarray
    second: np.ndarray
    common: np.ndarray
    paid: np.ndarray
    complete: np.ndarray
    unit: np.ndarray

    @property
    def won(self) -> np.ndarray:
        """Whether the pay-off [N, T] is above the median of the distinct pay-offs."""
        return self.paid > float(np.median(np.unique(self.paid[self.complete])))


class RecordedSteps(NamedTuple):
    """Two-step trials [N, T] as recorded; action is [N, T, S] if trials have steps.

    Attributes:
        action: all actions.
        first: the first choice, negative if missing.
        paid: the pay-off, NaN if missing.
        common: 1 for a common transition, 0 for a rare one, -1 if missing.
        complete: whether the first choice, the pay-off and the transition were all recorded.
    """

    action: np.ndarray
    first: np.ndarray
    paid: np.ndarray
    common: np.ndarray
    complete: np.ndarray


def read_steps(trials: xr.Dataset) -> RecordedSteps:
    """Reads the recorded choices, pay-offs and transitions of one split or log.

    Raises:
        DoesNotApply: the trials do not have two steps.
    """
    if "transition" not in trials:
        raise DoesNotApply("its trials do not have two steps: they have no transitions")
    action = trials.action.sel(condition="intact").values.astype(int)
    first = action[..., 0] if action.ndim > 2 else action
    paid = trials.feedback.sel(condition="intact").values.astype(float)
    common = trials.transition
    common = (common.sel(condition="intact") if "condition" in common.dims else common).values
    common = np.nan_to_num(common, nan=-1)
    complete = (first >= 0) & np.isfinite(paid) & (common >= 0)
    return RecordedSteps(action, first, paid, common, complete)


def index_units(trials: xr.Dataset) -> np.ndarray:
    """The index [N] of each lifetime's unit of resampling, from 0."""
    name = str(trials.attrs.get("unit", "lifetime"))
    if name in trials.coords and trials[name].dims == ("lifetime",):
        return np.unique(trials[name].values, return_inverse=True)[1]
    return np.arange(trials.sizes["lifetime"])


def convert_steps(trials: xr.Dataset) -> Steps:
    """Converts the trials of one split or log; sets missing entries to 0 and scales pay-offs to the range 0 to 1.

    Raises:
        DoesNotApply: the trials do not have two steps, have more than two first choices or fewer than two different
            pay-offs, or always repeat the same choice.
    """
    action, first, paid, common, complete = read_steps(trials)
    if first.max(initial=0) > 1:
        raise DoesNotApply(f"it has {int(first.max()) + 1} first choices, but the question is about two")
    if not complete.any() or np.ptp(paid[complete]) == 0:
        raise DoesNotApply("it has no complete trial, or fewer than two different pay-offs")
    adjacent = complete[:, 1:] & complete[:, :-1]
    if not (adjacent & (first[:, 1:] != first[:, :-1])).any():
        raise DoesNotApply("it always repeats its first choice")
    second = action[..., 1] if action.ndim > 2 else np.zeros_like(first)
    if "second_action" in trials:
        second = trials.second_action.sel(condition="intact").values.astype(int) % 2
    low, high = paid[complete].min(), paid[complete].max()
    common = common.astype(int)
    return Steps(
        np.maximum(first, 0),
        np.where(complete, first ^ (1 - common), 0),
        np.where(complete, second, 0),
        np.maximum(common, 0),
        np.where(complete, (np.nan_to_num(paid) - low) / (high - low), 0.0),
        complete,
        index_units(trials),
    )


def fit_logistic(x: np.ndarray, y: np.ndarray, ridge: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Fits a penalised logistic regression of y [R], 0 or 1, on x [R, F].

    The penalty, ridge · |weights|² / 2 for all rows together, keeps the weights finite if x determines y.

    Returns:
        The weights [F], and the curvature [F, F] of the penalised negative log-likelihood there.
    """
    weights, eye = np.zeros(x.shape[1]), np.eye(x.shape[1])

    def objective(w: np.ndarray) -> float:
        z = x @ w
        return float((y * z - np.logaddexp(0.0, z)).sum() - 0.5 * ridge * w @ w)

    value = objective(weights)
    for _ in range(50):
        p = expit(x @ weights)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + ridge * eye
        step = np.linalg.solve(curvature, x.T @ (y - p) - ridge * weights)
        size = 1.0
        while size > 1e-4 and objective(weights + size * step) < value:
            size /= 2
        improvement = objective(weights + size * step) - value
        if improvement <= 1e-9:
            break
        weights, value = weights + size * step, value + improvement
    p = expit(x @ weights)
    return weights, (x * (p * (1 - p))[:, None]).T @ x + ridge * eye


def sum_by_unit(steps: Steps, rows: np.ndarray) -> np.ndarray:
    """Sums rows [N, F] over the lifetimes of each unit; the result is [U, F]."""
    sums = np.zeros((int(steps.unit.max()) + 1, rows.shape[-1]))
    np.add.at(sums, steps.unit, rows)
    return sums
