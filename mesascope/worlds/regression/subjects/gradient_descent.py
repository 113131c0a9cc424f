"""Fits weights by a few steps of gradient descent from zero on the squared error of all past pairs.

One layer of linear attention can take one such step (von Oswald et al. 2023, arXiv 2212.07677). GD++ first shrinks the
inputs along the directions in which they vary most, x ← (I - γ Σ x xᵀ / tr Σ x xᵀ) x, so that fewer steps are needed.
"""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.regression.spectral_filter import SpectralFilter, make_filter


@keep_settings(steps=(1, 1_000_000), rate=(0, 1), preconditioning=(0, 1))
def subject(family: Family, steps: int = 1, rate: float = 1.0, preconditioning: float = 0.0) -> SpectralFilter:
    """Fits weights by a few steps of gradient descent from zero on the squared error of all past pairs.

    Args:
        family: the family `linear_regression`.
        steps: k, the number of steps, at least 1.
        rate: the step size times the trace of Σ x xᵀ, at most 1, so that no step overshoots.
        preconditioning: γ of GD++, from 0 (plain gradient descent) to 1.
    """
    return make_filter(family, steps=float(steps), rate=rate, correction=preconditioning)
