"""Thompson sampling for arms whose means may be drawn anew at any trial, each arm for itself.

The posterior of each arm is filtered exactly on a grid of means: at each trial a part `hazard` of it is drawn
anew, then the last outcome counts.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.families import Family, Percept
from mesascope.subjects import Scripted, choose
from mesascope.subjects._counts import outcomes
from mesascope.subjects._settings import named, within

GRID = 64
ANGLE = (np.arange(GRID) + 0.5) * np.pi / GRID
MEAN = np.sin(ANGLE / 2) ** 2  # even in the angle, where Beta posteriors are about as wide everywhere
PRIOR = (np.sin(ANGLE) / np.sin(ANGLE).sum()).astype(np.float32)  # uniform in the mean


class ChangePointThompson(Scripted):
    """Posterior masses of each arm's mean [N, K, GRID]."""

    name: str
    choices: int
    hazard: float

    def fresh(self, n: int) -> jax.Array:
        """Every mean is uniform."""
        return jnp.tile(jnp.asarray(PRIOR), (n, self.choices, 1))

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, lets the means change, then samples."""
        last = outcomes(percept, self.choices)[..., None, :]
        seen = last.sum(-1) > 0
        likelihood = last[..., 0] * MEAN + last[..., 1] * (1.0 - MEAN)
        carry = carry * jnp.where(seen, likelihood, 1.0)
        carry = carry / carry.sum(-1, keepdims=True)
        carry = (1.0 - self.hazard) * carry + self.hazard * PRIOR
        return carry, choose(key, jnp.log(largest(carry)))


def largest(masses: jax.Array) -> jax.Array:
    """The probability [N, K] that each arm's draw from its masses [N, K, GRID] is the largest."""
    below = jnp.maximum(jnp.cumsum(masses, -1) - 0.5 * masses, 1e-30)
    others = jnp.exp(jnp.log(below).sum(-2, keepdims=True) - jnp.log(below))
    won = (masses * others).sum(-1)
    return won / won.sum(-1, keepdims=True)


def subject(family: Family, hazard: float = 0.02) -> ChangePointThompson:
    """Thompson sampling for arms whose means may be drawn anew at any trial.

    Args:
        family: the bandit.
        hazard: the probability per trial that an arm's mean is drawn anew, uniformly.
    """
    within(0, 1, hazard=hazard)
    return ChangePointThompson(name=named(subject, hazard=hazard), choices=family.choices, hazard=hazard)
