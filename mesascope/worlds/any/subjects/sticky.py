"""Repeats its last action with a fixed probability, whatever it paid."""

import jax.numpy as jnp

from mesascope.contracts import Choosing, Family, Percept, choose, choose_to_stay, keep_settings


class Sticky(Choosing):
    """Carries nothing, because the percept contains the last action."""

    stay_probability: float

    def respond(self, key, carry, percept: Percept):
        """Repeats the last action, or picks another action uniformly."""
        return carry, choose(key, jnp.log(choose_to_stay(percept.action, self.choices, self.stay_probability)))


@keep_settings(stay_probability=(0, 1))
def subject(family: Family, stay_probability: float = 0.8) -> Sticky:
    """Repeats its last action with a fixed probability, whatever it paid.

    Args:
        family: any family with discrete actions.
        stay_probability: the probability of repeating the last action.
    """
    return Sticky(family.choices, stay_probability)
