"""Always predicts 0, the mean of the prior."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.regression.spectral_filter import SpectralFilter, make_filter


@keep_settings
def subject(family: Family) -> SpectralFilter:
    """Always predicts 0, the mean of the prior.

    Args:
        family: the family `linear_regression`.
    """
    return make_filter(family, fit_weight=0.0, discount=0.0)
