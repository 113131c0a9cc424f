"""What the metrics of search and the search axis share: right acts, by ticks, by how far ahead, and at a change."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts.capabilities import ShowsPlans
from mesascope.contracts.metric import DoesNotApply, family_of
from mesascope.contracts.plans import Plans
from mesascope.errors import MesascopeError

EQUAL = 1e-9  # values no farther apart than this are the same


class Counted(NamedTuple):
    """Acts of each lifetime [N]: right ones, and all that were asked."""

    right: np.ndarray
    asked: np.ndarray

    def mean(self) -> float | None:
        """Over all lifetimes; None where nothing was asked."""
        return float(self.right.sum() / self.asked.sum()) if self.asked.sum() else None

    def drawn(self, weights: np.ndarray) -> np.ndarray:
        """[resamples] the same, NaN where nothing was asked."""
        asked = weights @ self.asked
        return np.where(asked > 0, (weights @ self.right) / np.maximum(asked, 1e-9), np.nan)


def plans_of(replay: Any, trials: xr.Dataset, label: str = "intact") -> Plans:
    """The plans on the trials of one split, for a metric, which knows the family by the trials' own word.

    Raises:
        DoesNotApply: the family is not at hand, nothing in it is thought out, or what was shown was not kept.
    """
    family = family_of(replay, trials)
    if not isinstance(family, ShowsPlans):
        raise DoesNotApply("its tasks say of no act that it can be thought out")
    try:
        return family.plans(trials, label)
    except MesascopeError as error:
        raise DoesNotApply(error.problem) from None


def ticks_of(label: str) -> int:
    """The ticks at each observation under a condition: 1 where nothing is disturbed, 0 under any other condition."""
    if label == "intact":
        return 1
    head, _, number = label.partition("=")
    return int(number) if head == "thinking:ticks" and number.isdecimal() else 0


def right_acts(plan: Plans) -> tuple[np.ndarray, np.ndarray]:
    """[N, T, S] whether an act was a best one, and whether there was anything to choose."""
    chosen = np.take_along_axis(plan.values, np.maximum(plan.action, 0)[..., None], -1)[..., 0]
    differ = np.ptp(plan.values, -1) > EQUAL
    return chosen >= plan.values.max(-1) - EQUAL, differ & (plan.action >= 0)


def success_by_depth(plan: Plans) -> dict[int, Counted]:
    """By how far ahead one must look: right acts at the first trial, where all was shown."""
    right, asked = right_acts(plan)
    asked, far = asked[:, 0] & plan.shown[:, 0, None], plan.far[:, 0]
    out = {}
    for steps in np.unique(far).tolist():
        here = asked & (far == steps)
        out[steps] = Counted((right[:, 0] & here).sum(-1), here.sum(-1))
    return out


def follow_change(plan: Plans, change: int, nearest: int = 2, farthest: int = 0) -> Counted:
    """Acts at a change that go with it, of those that were right until then and now are not.

    Args:
        plan: of the trials.
        change: the trial at which the task changes.
        nearest: only where one must look at least so many steps ahead.
        farthest: and at most so many; 0 for any.
    """
    now, old, last = plan.values[:, change], plan.before[:, change], plan.values[:, change - 1]
    before, action = plan.action[:, change - 1], plan.action[:, change]
    same = np.isclose(old, last).all(-1)  # the same place as one trial earlier
    differ = (np.ptp(now, -1) > EQUAL) & (np.ptp(old, -1) > EQUAL) & (now.argmax(-1) != old.argmax(-1))
    far = plan.far[:, change]
    within = (far >= nearest) & ((far <= farthest) if farthest else True)
    asked = same & differ & within & (before == old.argmax(-1)) & (action >= 0) & plan.shown[:, change, None]
    return Counted((asked & (action == now.argmax(-1))).sum(-1), asked.sum(-1))
