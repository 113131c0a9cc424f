"""Repeats an action that paid and leaves an action that did not pay. This reflex uses only the percept."""

import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, keep_settings
from mesascope.contracts.choices import compute_log_probs_with_lapses, compute_stay_probabilities, has_last_pull_paid

SHIFT_RULES = ("other", "any")


class WinStayLoseShift(ChoosingSubject):
    """Carries nothing, because the percept contains the last action and its feedback."""

    lapse: float
    shift: str

    def respond(self, key, carry, percept: Percept):
        """Stays after a win (feedback above .5); after a loss, picks one of the other actions, or of all, uniformly."""
        after_loss = 0.0 if self.shift == "other" else 1.0 / self.choices
        stay = jnp.where(has_last_pull_paid(percept), 1.0, after_loss)
        return carry, choose(
            key,
            compute_log_probs_with_lapses(compute_stay_probabilities(percept.action, self.choices, stay), self.lapse),
        )


@keep_settings(lapse=(0, 1), shift=SHIFT_RULES)
def subject(family: Family, lapse: float = 0.0, shift: str = "other") -> WinStayLoseShift:
    """Repeats an action that paid and leaves an action that did not pay.

    Args:
        family: any family with discrete actions.
        lapse: the probability of choosing uniformly at random among all actions.
        shift: what the subject picks after a loss: 'other', one of the other actions at random; or 'any', one of all
            actions at random.
    """
    return WinStayLoseShift(family.choices, lapse, shift)
