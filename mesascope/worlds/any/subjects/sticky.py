"""Repeats its last action with a fixed probability, whatever it paid."""

import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, compute_stay_probabilities, keep_settings


class StickySubject(ChoosingSubject):
    """Carries nothing, because the percept contains the last action."""

    stay_probability: float

    def respond(self, key, carry, percept: Percept):
        """Repeats the last action, or picks another action uniformly; draws the first action from all actions."""
        return carry, choose(
            key, jnp.log(compute_stay_probabilities(percept.action, self.choices, self.stay_probability))
        )


@keep_settings(stay_probability=(0, 1))
def subject(family: Family, stay_probability: float = 0.8) -> StickySubject:
    """Repeats its last action with a fixed probability, whatever it paid.

    Args:
        family: any family with discrete actions.
        stay_probability: the probability of repeating the last action.
    """
    return StickySubject(family.choices, stay_probability)
