"""Thompson sampling for arms whose means may be drawn anew at any trial, independently for each arm.

The posterior of each arm is filtered exactly on a grid of means: it is updated by the last outcome, then
mixed with the prior by the weight `hazard`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.choices import outcomes
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.subjects.thompson import THETA, X, probability_largest

PRIOR = (np.sin(THETA) / np.sin(THETA).sum()).astype(np.float32)  # uniform in the mean


class ChangePointThompson(Choosing):
    """Carries the posterior masses of each arm's mean [N, K, GRID]."""

    hazard: float

    def fresh(self, n: int) -> jax.Array:
        """The uniform prior of each mean."""
        return jnp.tile(jnp.asarray(PRIOR), (n, self.choices, 1))

    def respond(self, key, carry, percept: Percept):
        """Updates the posterior by the last outcome and a possible change, then samples."""
        last = outcomes(percept, self.choices)[..., None, :]
        pulled = last.sum(-1) > 0
        likelihood = last[..., 0] * X + last[..., 1] * (1.0 - X)
        carry = carry * jnp.where(pulled, likelihood, 1.0)
        carry = carry / carry.sum(-1, keepdims=True)
        carry = (1.0 - self.hazard) * carry + self.hazard * PRIOR
        return carry, choose(key, jnp.log(probability_largest(carry)))


@keep_settings(hazard=(0, 1))
def subject(family: Family, hazard: float = 0.02) -> ChangePointThompson:
    """Thompson sampling for arms whose means may be drawn anew at any trial.

    Args:
        family: the bandit.
        hazard: the probability per trial that an arm's mean is drawn anew, uniformly.
    """
    return ChangePointThompson(family.choices, hazard)
