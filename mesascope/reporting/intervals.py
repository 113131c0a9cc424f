"""Intervals for what the figures show: the same units and the same function as for findings."""

import numpy as np
import xarray as xr

from mesascope.stats import Interval, by_unit, interval, mean, ratio
from mesascope.trials import gain, payoff


def means(lived: xr.Dataset, values: np.ndarray) -> Interval:
    """Intervals for the means of rows [B, N] over what was resampled: lifetimes, or participants of a log."""
    unit = str(lived.attrs.get("unit", "lifetime"))
    if unit in lived.coords and lived[unit].dims == ("lifetime",):
        values = np.stack([by_unit(row, lived[unit].values) for row in values])
    return interval(values)


def comparable(lived: xr.Dataset) -> bool:
    """Whether chance and best are known, and apart."""
    return "chance" in lived and "best" in lived and bool((lived.best > lived.chance).any())


def share(lived: xr.Dataset, label: str = "intact", window: slice | None = None) -> np.ndarray:
    """[N] numbers whose mean is the share of what could be gained over chance; NaN where that is nothing."""
    above, most = gain(lived, label, window)
    if not most.sum() > 0:
        return np.full(len(most), np.nan)
    return ratio(above, most)


def mean_payoff(lived: xr.Dataset, window: slice) -> np.ndarray:
    """[N] the mean pay-off over some trials, NaN where a lifetime has none of them."""
    return mean(payoff(lived)[:, window])
