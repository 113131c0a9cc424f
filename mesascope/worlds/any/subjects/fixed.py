"""Always pulls the same arm."""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.contracts.settings import check_range


class Fixed(Choosing):
    """Nothing is carried."""

    arm: int

    def respond(self, key, carry, percept: Percept):
        """The one arm."""
        arms = jnp.full_like(percept.action, self.arm)
        return carry, choose(key, jnp.log(jax.nn.one_hot(arms, self.choices)))


@keep_settings
def subject(family: Family, arm: int = 0) -> Fixed:
    """Always pulls the same arm.

    Args:
        family: the bandit.
        arm: which, from 0.
    """
    check_range(0, family.choices - 1, arm=arm)
    return Fixed(family.choices, arm)
