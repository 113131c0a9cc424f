"""Computes intervals for the figures, with the units and the function that findings use."""

import numpy as np
import xarray as xr

from mesascope.stats import Interval, by_unit, interval, mean, ratio
from mesascope.trials import gain, payoff


def means(trials: xr.Dataset, values: np.ndarray) -> Interval:
    """Intervals for the means of rows [B, N]; the unit is a lifetime, or the unit of a log, such as a participant."""
    unit = str(trials.attrs.get("unit", "lifetime"))
    if unit in trials.coords and trials[unit].dims == ("lifetime",):
        values = np.stack([by_unit(row, trials[unit].values) for row in values])
    return interval(values)


def can_normalise(trials: xr.Dataset) -> bool:
    """Whether chance and best are known and differ."""
    return "chance" in trials and "best" in trials and bool((trials.best > trials.chance).any())


def share(trials: xr.Dataset, label: str = "intact", window: slice | None = None) -> np.ndarray:
    """[N] Numbers whose mean is the share of the possible gain; NaN if nothing can be gained."""
    gained, possible = gain(trials, label, window)
    if not possible.sum() > 0:
        return np.full(len(possible), np.nan)
    return ratio(gained, possible)


def mean_payoff(trials: xr.Dataset, window: slice) -> np.ndarray:
    """[N] The mean pay-off over a window of trials; NaN for a lifetime without trials in it."""
    return mean(payoff(trials)[:, window])
