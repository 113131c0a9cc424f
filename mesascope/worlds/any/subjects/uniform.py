"""Chooses evenly at random whatever happens."""

import jax.numpy as jnp

from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import keep_settings
from mesascope.contracts.subject import Scripted, choose


class Uniform(Scripted):
    """Nothing is carried."""

    choices: int

    def respond(self, key, carry, percept: Percept):
        """The same probability for every arm."""
        return carry, choose(key, jnp.full((len(percept.action), self.choices), -jnp.log(self.choices)))


@keep_settings
def subject(family: Family) -> Uniform:
    """Chooses evenly at random whatever happens."""
    return Uniform(family.choices)
