"""Repeats an act that paid and leaves one that did not: a reflex on the percept."""

import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse, paid_last, stay_probabilities
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings

SHIFTS = ("other", "any")


class WinStayLoseShift(Choosing):
    """Nothing is carried: the last act and its feedback are in the percept."""

    lapse: float
    shift: str

    def respond(self, key, carry, percept: Percept):
        """Stays after a win; after a loss evenly any other arm, or any."""
        after_loss = 0.0 if self.shift == "other" else 1.0 / self.choices
        stays = jnp.where(paid_last(percept), 1.0, after_loss)
        return carry, choose(
            key, mix_lapse(stay_probabilities(percept.action, self.choices, stays), self.lapse)
        )


@keep_settings(lapse=(0, 1), shift=SHIFTS)
def subject(family: Family, lapse: float = 0.0, shift: str = "other") -> WinStayLoseShift:
    """Repeats an act that paid and leaves one that did not.

    Args:
        family: the bandit.
        lapse: part of the choices that is even over all arms.
        shift: after a loss to any other arm, or to any, the same one included.
    """
    return WinStayLoseShift(family.choices, lapse, shift)
