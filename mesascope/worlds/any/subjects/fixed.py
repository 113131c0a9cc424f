"""Always pulls the same arm."""

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import keep_settings, within
from mesascope.contracts.subject import Scripted, choose


class Fixed(Scripted):
    """Nothing is carried."""

    choices: int
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
    within(0, family.choices - 1, arm=arm)
    return Fixed(family.choices, arm)
