"""A few steps of gradient descent from zero on the squared error of the pairs seen (von Oswald et al. 2023).

arXiv 2212.07677: one step is what one layer of linear attention can do; GD++ first shrinks the inputs along the
directions that they vary most in, x ← (I - γ Σ x xᵀ / tr) x, so that fewer steps are needed.
"""

from __future__ import annotations

from mesascope.contracts.family import Family
from mesascope.contracts.settings import named, within
from mesascope.errors import MesascopeError
from mesascope.worlds.regression.regression import TRIED as TRIED
from mesascope.worlds.regression.regression import Filtered, filtered


def subject(family: Family, steps: int = 1, rate: float = 1.0, preconditioned: float = 0.0) -> Filtered:
    """A few steps of gradient descent from zero on the squared error of the pairs seen.

    Args:
        family: in-context regression.
        steps: k, at least 1.
        rate: a step's size times the trace of Σ x xᵀ, at most 1: no step overshoots.
        preconditioned: γ of GD++, from 0 (plain) to 1.
    """
    if not 1 <= steps <= 1_000_000:
        raise MesascopeError(f"steps={steps} is out of range.", "Give a whole number from 1 to 1000000.")
    within(0, 1, rate=rate, preconditioned=preconditioned)
    return filtered(
        named(subject, steps=steps, rate=rate, preconditioned=preconditioned),
        family,
        steps=float(steps),
        rate=rate,
        correction=preconditioned,
    )
