"""Predicts the mean of the outcomes so far, whatever the input."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.regression.spectral_filter import SpectralFilter, make_filter


@keep_settings
def subject(family: Family) -> SpectralFilter:
    """Predicts the mean of the outcomes so far.

    Args:
        family: the family `linear_regression`.
    """
    return make_filter(family, fit_weight=0.0, weight_of_mean=1.0)
