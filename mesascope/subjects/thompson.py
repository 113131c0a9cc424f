"""Samples each arm's mean from its Beta posterior and pulls the largest (Thompson 1933).

The choice probabilities come from quadrature, not from sampling: P(k) = ∫ f_k Π_{j≠k} F_j, on an even grid in
θ with x = sin²(θ/2), where Beta posteriors are about as wide everywhere.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.errors import MesascopeError
from mesascope.families import Family, Percept
from mesascope.subjects import Scripted, choose
from mesascope.subjects._counts import outcomes

GRID = 128


class Thompson(Scripted):
    """Counts [N, K, 2], decayed by the discount before each new outcome."""

    name: str
    choices: int
    a: tuple[float, ...]
    b: tuple[float, ...]
    discount: float
    minimise: bool
    optimistic: bool

    def fresh(self, n: int) -> jax.Array:
        """No counts."""
        return jnp.zeros((n, self.choices, 2))

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, then samples."""
        carry = self.discount * carry + outcomes(percept, self.choices)
        prior = jnp.stack([jnp.asarray(self.a), jnp.asarray(self.b)], -1)
        shapes = carry + prior
        shapes = shapes[..., ::-1] if self.minimise else shapes
        return carry, choose(key, jnp.log(probability_best(shapes, self.optimistic)))


def probability_best(shapes: jax.Array, optimistic: bool = False) -> jax.Array:
    """The probability [N, K] that each arm's sample is the largest.

    Args:
        shapes: [N, K, 2] Beta shapes (a, b).
        optimistic: replace a sample by the posterior mean where the mean is larger (OTS).
    """
    theta = (np.arange(GRID) + 0.5) * np.pi / GRID
    x = np.sin(theta / 2) ** 2
    a, b = shapes[..., :1], shapes[..., 1:]
    log_pdf = (a - 0.5) * np.log(x) + (b - 0.5) * np.log1p(-x)  # density in θ: the Jacobian is √(x(1-x))
    pdf = jnp.exp(log_pdf - log_pdf.max(-1, keepdims=True))
    pdf = pdf / pdf.sum(-1, keepdims=True)
    cdf = jnp.maximum(jnp.cumsum(pdf, -1) - 0.5 * pdf, 1e-30)
    others = jnp.exp(jnp.log(cdf).sum(-2, keepdims=True) - jnp.log(cdf))
    if not optimistic:
        won = (pdf * others).sum(-1)
        return won / won.sum(-1, keepdims=True)
    mean = (a / (a + b))[..., 0]
    floor = mean.max(-1)[:, None, None]
    edges = np.sin(np.arange(GRID + 1) * np.pi / GRID / 2) ** 2
    share = jnp.clip((edges[1:] - floor) / (edges[1:] - edges[:-1]), 0.0, 1.0)  # part of each cell above the floor
    above = (pdf * others * share).sum(-1)
    below = jnp.clip((pdf * (1.0 - share)).sum(-1), 1e-30, 1.0).prod(-1, keepdims=True)
    top = (mean >= floor[:, 0] - 1e-6).astype(jnp.float32)
    won = above + below * top / top.sum(-1, keepdims=True)
    return won / won.sum(-1, keepdims=True)


def subject(
    family: Family,
    discount: float = 1.0,
    a: float = 1.0,
    b: float = 1.0,
    minimise: bool = False,
) -> Thompson:
    """Samples each arm's mean from its Beta posterior and pulls the largest.

    Args:
        family: the bandit; unequal Beta priors are taken from it unless a or b is given.
        discount: what is kept of the counts at each trial; 1 for a stationary world.
        a: prior successes.
        b: prior failures.
        minimise: pull the smallest sample instead.
    """
    if not 0 < discount <= 1:
        raise MesascopeError(f"discount={discount} is out of range.", "Give a number above 0 and at most 1.")
    if a <= 0 or b <= 0:
        raise MesascopeError(f"The prior Beta({a}, {b}) does not exist.", "Give positive a and b.")
    shapes = getattr(family, "shapes", None)
    if shapes is None or (a, b) != (1.0, 1.0):
        shapes = ((a, b),) * family.choices
    given = {"discount": (discount, 1.0), "a": (a, 1.0), "b": (b, 1.0), "minimise": (minimise, False)}
    settings = ",".join(f"{k}={v}" for k, (v, default) in given.items() if v != default)
    return Thompson(
        name="thompson" + (f":{settings}" if settings else ""),
        choices=family.choices,
        a=tuple(s[0] for s in shapes),
        b=tuple(s[1] for s in shapes),
        discount=discount,
        minimise=minimise,
        optimistic=False,
    )
