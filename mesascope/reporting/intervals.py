"""Computes intervals for the figures, with the same units and the same function as for findings."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from mesascope.stats import Interval, average_by_unit, compute_intervals, compute_ratio
from mesascope.trials import measure_gain


class Gain(NamedTuple):
    """The share of the possible gain that one procedure gained on one split or under one condition.

    Attributes:
        label: the label of the split or the condition.
        role: 'subject', or the role of a reference, such as 'learner'.
        name: the procedure's name.
        estimate: the share of the possible gain.
        low: the lower end of the interval of `estimate`.
        high: the upper end of the interval of `estimate`.
    """

    label: str
    role: str
    name: str
    estimate: float
    low: float
    high: float


def compute_mean_intervals(trials: xr.Dataset, values: np.ndarray) -> Interval:
    """Computes intervals for the means of B rows of values, each with one value for each of N lifetimes [B, N].

    The unit of resampling is a lifetime or, in a log, the unit that the log names, such as a participant.
    """
    unit = str(trials.attrs.get("unit", "lifetime"))
    if unit in trials.coords and trials[unit].dims == ("lifetime",):
        values = np.stack([average_by_unit(row, trials[unit].values) for row in values])
    return compute_intervals(values)


def compute_label_gains(
    trials: xr.Dataset, labels: list[str], shares: list[np.ndarray], role: str, name: str
) -> list[Gain]:
    """Computes one procedure's gain for each label, from the N numbers in `shares` whose mean is the label's gain."""
    intervals = compute_mean_intervals(trials, np.stack(shares))
    rows = zip(labels, intervals.estimate.tolist(), intervals.low.tolist(), intervals.high.tolist(), strict=True)
    return [Gain(label, role, name, estimate, low, high) for label, estimate, low, high in rows]


def can_normalise(trials: xr.Dataset) -> bool:
    """Whether the pay-offs of random and of best actions are known and differ."""
    return "chance" in trials and "best" in trials and bool((trials.best > trials.chance).any())


def compute_gain_shares(trials: xr.Dataset, condition: str = "intact", window: slice | None = None) -> np.ndarray:
    """Computes one number for each of N lifetimes [N]; the mean of the numbers is the share of the possible gain.

    Only the trials in `window` count; by default, these are those that `select_counted_trials` returns. The numbers are
    NaN if nothing can be gained.
    """
    gained, possible = measure_gain(trials, condition, window)
    if not np.nansum(possible) > 0:
        return np.full(len(possible), np.nan)
    return compute_ratio(gained, possible)
