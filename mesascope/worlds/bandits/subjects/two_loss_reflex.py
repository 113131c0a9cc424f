"""Leaves an arm after two losses in a row; older feedback has no effect."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    StepCountingSubject,
    choose,
    compute_stay_probabilities,
    has_last_pull_paid,
    keep_settings,
)


class TwoLossReflex(StepCountingSubject):
    """Carries the number of losses in a row on the current arm, [N]."""

    losses: int

    def respond(self, key, carry, percept: Percept):
        """Picks another arm uniformly when the count reaches `losses`, and resets the count."""
        carry, leaves = count_losses(carry, percept, self.losses)
        return carry, choose(key, jnp.log(compute_stay_probabilities(percept.action, self.choices, ~leaves)))


def count_losses(losses: jax.Array, percept: Percept, limit: int = 2) -> tuple[jax.Array, jax.Array]:
    """Counts the last outcome among the losses in a row on the current arm.

    Args:
        losses: [N] the losses in a row before that outcome.
        percept: the current percept.
        limit: the number of losses in a row after which the subject leaves the arm.

    Returns:
        The number of losses in a row, which is 0 where the subject leaves the arm, and whether it leaves, [N] each.
    """
    losses = jnp.where(has_last_pull_paid(percept) | (percept.action < 0), 0, losses + 1)
    leaves = losses >= limit
    return jnp.where(leaves, 0, losses), leaves


@keep_settings(losses=(1, 100))
def subject(family: Family, losses: int = 2) -> TwoLossReflex:
    """Leaves an arm after two losses in a row.

    Args:
        family: the bandit.
        losses: the number of losses in a row after which the subject leaves the arm.
    """
    return TwoLossReflex(family.choices, losses)
