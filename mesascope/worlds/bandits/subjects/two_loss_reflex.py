"""Leaves an arm after two losses in a row; older feedback has no effect."""

import jax.numpy as jnp

from mesascope.contracts.choices import StepCounter, paid_last, stay_probabilities
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings


class TwoLossReflex(StepCounter):
    """Carries the number of losses in a row on the current arm [N]."""

    losses: int

    def respond(self, key, carry, percept: Percept):
        """Picks another arm uniformly when the count reaches `losses`, and resets the count."""
        carry = jnp.where(paid_last(percept) | (percept.action < 0), 0, carry + 1)
        reached = carry >= self.losses
        log_probs = jnp.log(stay_probabilities(percept.action, self.choices, ~reached))
        return jnp.where(reached, 0, carry), choose(key, log_probs)


@keep_settings(losses=(1, 100))
def subject(family: Family, losses: int = 2) -> TwoLossReflex:
    """Leaves an arm after two losses in a row.

    Args:
        family: the bandit.
        losses: the number of losses in a row after which it leaves the arm.
    """
    return TwoLossReflex(family.choices, losses)
