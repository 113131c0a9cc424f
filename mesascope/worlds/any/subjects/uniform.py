"""Chooses uniformly at random, whatever happens."""

import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, keep_settings


class UniformSubject(ChoosingSubject):
    """Chooses uniformly at random; the carry is empty."""

    def respond(self, key, carry, percept: Percept):
        """Gives all actions the same probability."""
        return carry, choose(key, jnp.full((len(percept.action), self.choices), -jnp.log(self.choices)))


@keep_settings
def subject(family: Family) -> UniformSubject:
    """Chooses uniformly at random, whatever happens."""
    return UniformSubject(family.choices)
