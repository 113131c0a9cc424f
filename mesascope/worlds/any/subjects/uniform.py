"""Chooses uniformly at random, whatever happens."""

import jax.numpy as jnp

from mesascope.contracts import Choosing, Family, Percept, choose, keep_settings


class Uniform(Choosing):
    """Carries nothing."""

    def respond(self, key, carry, percept: Percept):
        """Gives all actions the same probability."""
        return carry, choose(key, jnp.full((len(percept.action), self.choices), -jnp.log(self.choices)))


@keep_settings
def subject(family: Family) -> Uniform:
    """Chooses uniformly at random, whatever happens."""
    return Uniform(family.choices)
