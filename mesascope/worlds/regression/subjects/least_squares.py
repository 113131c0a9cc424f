"""Fits weights to all past pairs by least squares; of equally good weights it takes those with the smallest norm."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.regression.spectral_filter import SpectralFilter, make_filter


@keep_settings
def subject(family: Family) -> SpectralFilter:
    """Fits weights to all past pairs by least squares; of equally good weights it takes those with the smallest norm.

    Args:
        family: the family `linear_regression`.
    """
    return make_filter(family)
