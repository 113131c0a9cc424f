"""Predicts the mean of the outcomes so far, whatever the input."""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.regression.regression import TRIED as TRIED
from mesascope.worlds.regression.regression import SpectralFilter, make_filter


@keep_settings
def subject(family: Family) -> SpectralFilter:
    """Predicts the mean of the outcomes so far.

    Args:
        family: the family `linear_regression`.
    """
    return make_filter(family, weight=0.0, level=1.0)
