"""Fits weights to the pairs seen by least squares, of least norm if there are fewer pairs than dimensions."""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.regression.regression import TRIED as TRIED
from mesascope.worlds.regression.regression import SpectralFilter, make_filter


@keep_settings
def subject(family: Family) -> SpectralFilter:
    """Fits weights to the pairs seen by least squares, of least norm if several weights fit equally well.

    Args:
        family: the family `linear_regression`.
    """
    return make_filter(family)
