"""Gives the answer that was right at the last trial: a parrot of the last outcome."""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.errors import MesascopeError

TRIED = "beta_bernoulli:trials=12"


class LastAnswer(Scripted):
    """Nothing is carried: the percept tells what was right; before the first it is the first choice."""

    family: Family

    def respond(self, key, carry, percept: Percept):
        """What was right at the last trial."""
        told = jnp.asarray(self.family.target(percept))
        again = jnp.where(percept.first, 0, told)
        return carry, choose(key, jnp.log(jax.nn.one_hot(again, self.family.choices)))


@keep_settings
def subject(family: Family) -> LastAnswer:
    """Gives the answer that was right at the last trial, whatever is asked.

    Args:
        family: one whose percepts tell what was right.
    """
    if type(family).target is Family.target:
        raise MesascopeError(
            f"The percepts of {family.name} do not tell what was right.", "Take --family word_labels."
        )
    return LastAnswer(family.with_bank(None))
