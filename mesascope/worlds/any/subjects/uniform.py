"""Chooses evenly at random whatever happens."""

import jax.numpy as jnp

from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings


class Uniform(Choosing):
    """Nothing is carried."""

    def respond(self, key, carry, percept: Percept):
        """The same probability for every arm."""
        return carry, choose(key, jnp.full((len(percept.action), self.choices), -jnp.log(self.choices)))


@keep_settings
def subject(family: Family) -> Uniform:
    """Chooses evenly at random whatever happens."""
    return Uniform(family.choices)
