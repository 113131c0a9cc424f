"""Predicts 0, the mean of the prior, whatever it saw."""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.regression.regression import TRIED as TRIED
from mesascope.worlds.regression.regression import SpectralFilter, make_filter


@keep_settings
def subject(family: Family) -> SpectralFilter:
    """Predicts 0 whatever it saw.

    Args:
        family: in-context regression.
    """
    return make_filter(family, weight=0.0, discount=0.0)
