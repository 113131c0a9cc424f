"""Fits weights to all past pairs by least squares, with the least norm if there are fewer pairs than dimensions."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.regression.spectral_filter import SpectralFilter, make_filter


@keep_settings
def subject(family: Family) -> SpectralFilter:
    """Fits weights to all past pairs by least squares, with the least norm if several weights fit equally well.

    Args:
        family: the family `linear_regression`.
    """
    return make_filter(family)
