"""Thompson sampling for arms whose means may be redrawn on any trial, independently for each arm.

The subject carries the posterior of each arm's mean on a grid. It updates the posterior with the last outcome and then
mixes it with the prior, which gets the weight `hazard`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, count_last_outcome, keep_settings
from mesascope.worlds.bandits.subjects.thompson import ANGLES, GRID_MEANS, compute_largest_probability

UNIFORM_PRIOR = (np.sin(ANGLES) / np.sin(ANGLES).sum()).astype(np.float32)  # masses at the grid points


class ChangePointThompson(ChoosingSubject):
    """Carries the posterior mass of each arm's mean at each grid point [N, K, GRID_SIZE]."""

    hazard: float

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns the uniform prior of each mean."""
        return jnp.tile(jnp.asarray(UNIFORM_PRIOR), (n, self.choices, 1))

    def respond(self, key, carry, percept: Percept):
        """Updates the posterior with the last outcome and a possible change, then samples an arm."""
        last_outcome = count_last_outcome(percept, self.choices)[..., None, :]
        is_pulled = last_outcome.sum(-1) > 0
        likelihood = last_outcome[..., 0] * GRID_MEANS + last_outcome[..., 1] * (1.0 - GRID_MEANS)
        carry = carry * jnp.where(is_pulled, likelihood, 1.0)
        carry = carry / carry.sum(-1, keepdims=True)
        carry = (1.0 - self.hazard) * carry + self.hazard * UNIFORM_PRIOR
        return carry, choose(key, jnp.log(compute_largest_probability(carry)))


@keep_settings(hazard=(0, 1))
def subject(family: Family, hazard: float = 0.02) -> ChangePointThompson:
    """Thompson sampling for arms whose means may be redrawn on any trial.

    Args:
        family: the bandit.
        hazard: the probability per trial that an arm's mean is redrawn uniformly.
    """
    return ChangePointThompson(family.choices, hazard)
