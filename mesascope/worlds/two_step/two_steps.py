"""What the metrics of two-step trials share: the trials as arrays, and a logistic regression with its influence."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import expit

from mesascope.contracts.metric import DoesNotApply


class Steps(NamedTuple):
    """Two-step trials [N, T]; known is whether all of a trial is.

    Attributes:
        first: the first choice, 0 or 1.
        place: the state that it led to: 0 where the first of the choices commonly leads.
        second: the choice made there, 0 or 1; 0 throughout where there is none.
        common: 1 for a common transition, 0 for a rare one.
        paid: the pay-off, from 0 to 1.
        known: whether the trial was lived.
        unit: [N] which unit of resampling each lifetime belongs to, from 0.
    """

    first: np.ndarray
    place: np.ndarray
    second: np.ndarray
    common: np.ndarray
    paid: np.ndarray
    known: np.ndarray
    unit: np.ndarray

    @property
    def won(self) -> np.ndarray:
        """[N, T] whether the pay-off is above the middle of those that occur."""
        return self.paid > float(np.median(np.unique(self.paid[self.known])))


class Told(NamedTuple):
    """What trials say of their two steps, [N, T]; action is [N, T, S] where it has steps; known where all is there."""

    action: np.ndarray
    first: np.ndarray
    paid: np.ndarray
    common: np.ndarray
    known: np.ndarray


def told(lived: xr.Dataset) -> Told:
    """The first choices, pay-offs and transitions (1 common, 0 rare, -1 missing) of one split or log.

    Raises:
        DoesNotApply: they have no two steps.
    """
    if "transition" not in lived:
        raise DoesNotApply("its trials have no two steps: no transition is known")
    action = lived.action.sel(condition="intact").values.astype(int)
    first = action[..., 0] if action.ndim > 2 else action
    paid = lived.feedback.sel(condition="intact").values.astype(float)
    common = lived.transition
    common = (common.sel(condition="intact") if "condition" in common.dims else common).values
    common = np.nan_to_num(common, nan=-1)
    return Told(action, first, paid, common, (first >= 0) & np.isfinite(paid) & (common >= 0))


def units(lived: xr.Dataset) -> np.ndarray:
    """[N] which unit of resampling each lifetime belongs to, from 0."""
    name = str(lived.attrs.get("unit", "lifetime"))
    if name in lived.coords and lived[name].dims == ("lifetime",):
        return np.unique(lived[name].values, return_inverse=True)[1]
    return np.arange(lived.sizes["lifetime"])


def two_steps(lived: xr.Dataset) -> Steps:
    """The trials of one split or log.

    Raises:
        DoesNotApply: they have no two steps, more than two first choices, no pay-offs, or always the same choice.
    """
    action, first, paid, common, known = told(lived)
    if first.max(initial=0) > 1:
        raise DoesNotApply(f"it has {int(first.max()) + 1} first choices, and the question is about two")
    if not known.any() or np.ptp(paid[known]) == 0:
        raise DoesNotApply("no trial, or no two different pay-offs")
    follows = known[:, 1:] & known[:, :-1]
    if not (follows & (first[:, 1:] != first[:, :-1])).any():
        raise DoesNotApply("it always repeats its first choice")
    second = action[..., 1] if action.ndim > 2 else np.zeros_like(first)
    if "second_action" in lived:
        second = lived.second_action.sel(condition="intact").values.astype(int) % 2
    low, high = paid[known].min(), paid[known].max()
    common = common.astype(int)
    return Steps(
        np.maximum(first, 0),
        np.where(known, first ^ (1 - common), 0),
        np.where(known, second, 0),
        np.maximum(common, 0),
        np.where(known, (np.nan_to_num(paid) - low) / (high - low), 0.0),
        known,
        units(lived),
    )


def logistic(x: np.ndarray, y: np.ndarray, ridge: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Weights [F] of the largest penalised likelihood of y [R], 0 or 1, from x [R, F], and the curvature [F, F].

    The penalty, ridge · |weights|² / 2 for all rows together, keeps weights finite where x tells y for sure.
    """
    weights, eye = np.zeros(x.shape[1]), np.eye(x.shape[1])

    def worth(w: np.ndarray) -> float:
        z = x @ w
        return float((y * z - np.logaddexp(0.0, z)).sum() - 0.5 * ridge * w @ w)

    value = worth(weights)
    for _ in range(50):
        p = expit(x @ weights)
        curve = (x * (p * (1 - p))[:, None]).T @ x + ridge * eye
        step = np.linalg.solve(curve, x.T @ (y - p) - ridge * weights)
        size = 1.0
        while size > 1e-4 and worth(weights + size * step) < value:
            size /= 2
        gained = worth(weights + size * step) - value
        if gained <= 1e-9:
            break
        weights, value = weights + size * step, value + gained
    p = expit(x @ weights)
    return weights, (x * (p * (1 - p))[:, None]).T @ x + ridge * eye


def by_units(steps: Steps, rows: np.ndarray) -> np.ndarray:
    """[U, F] sums of rows [N, F] over the lifetimes of each unit."""
    out = np.zeros((int(steps.unit.max()) + 1, rows.shape[-1]))
    np.add.at(out, steps.unit, rows)
    return out
