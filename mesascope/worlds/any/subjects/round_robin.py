"""Pulls every arm in turn and never looks at feedback."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import StepCounter
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings


class RoundRobin(StepCounter):
    """Trials lived [N]."""

    def respond(self, key, carry, percept: Percept):
        """The next arm."""
        return carry + 1, choose(key, jnp.log(jax.nn.one_hot(carry % self.choices, self.choices)))


@keep_settings
def subject(family: Family) -> RoundRobin:
    """Pulls every arm in turn and never looks at feedback."""
    return RoundRobin(family.choices)
