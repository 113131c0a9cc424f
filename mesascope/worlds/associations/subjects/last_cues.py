"""Answers from the last few trials alone. This is the reflex for association tasks."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.associations.association_subject import AssociationSubject, read_task_settings


class LastCues(AssociationSubject):
    """Carries the evidence from each of the last trials, [N, window, S, K]."""

    window: int

    def initialize_carry(self, n: int) -> jax.Array:
        return jnp.zeros((n, self.window, self.slots, self.choices))

    def respond(self, key, carry, percept: Percept):
        carry = jnp.concatenate([carry[:, 1:], self.compute_evidence(percept)[:, None]], 1)
        odds = self.select_row(carry.sum(1), percept)
        return carry, choose(key, compute_log_probs_with_lapses(jax.nn.softmax(odds), 0.0))


@keep_settings(window=(1, 64))
def subject(family: Family, window: int = 2) -> LastCues:
    """Infers the correct action from the last few trials alone.

    Args:
        family: association tasks.
        window: the number of last trials that the subject uses.
    """
    return LastCues(*read_task_settings(family), window)
