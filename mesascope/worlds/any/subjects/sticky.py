"""Repeats its last act more often than not, whatever it paid."""

import jax.numpy as jnp

from mesascope.contracts.choices import stay_probabilities
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings


class Sticky(Choosing):
    """Nothing is carried: the last act is in the percept."""

    stay: float

    def respond(self, key, carry, percept: Percept):
        """The last act again, or evenly another."""
        return carry, choose(key, jnp.log(stay_probabilities(percept.action, self.choices, self.stay)))


@keep_settings(stay=(0, 1))
def subject(family: Family, stay: float = 0.8) -> Sticky:
    """Repeats its last act more often than not, whatever it paid.

    Args:
        family: the bandit.
        stay: the probability of the last act.
    """
    return Sticky(family.choices, stay)
