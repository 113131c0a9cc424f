"""Fits weights to all past pairs by ridge regression; with the family's noise, it predicts the posterior mean.

If w ~ N(0, I) and the noise is normal, the posterior mean is w = (Σ x xᵀ + σ² I)⁻¹ Σ x y (Raventós et al. 2023, eq. 4).
"""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.regression.spectral_filter import SpectralFilter, make_filter, require_regression


@keep_settings(penalty=(-1, 1e6), discount=(0.0, 1.0))
def subject(
    family: Family, penalty: float = -1.0, discount: float = 1.0, should_minimise: bool = False
) -> SpectralFilter:
    """Fits weights to all past pairs by ridge regression, which gives the posterior mean under the family's prior.

    Args:
        family: the family `linear_regression`.
        penalty: σ², the variance of the noise that the subject assumes; if negative, the variance in the family.
        discount: the factor by which the sums over past pairs are multiplied on each trial; 1 for tasks that do not
            change.
        should_minimise: whether the subject predicts with the opposite sign.
    """
    penalty = require_regression(family).noise ** 2 if penalty < 0 else penalty
    return make_filter(family, penalty=penalty, fit_weight=-1.0 if should_minimise else 1.0, discount=discount)
