"""Answers from the tables of its bank as long as one of them fits all trials, and then from a table that it learns."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.associations.association_subject import BankSubject, read_bank_settings


class BankFirst(BankSubject):
    """Carries the evidence from all trials, [N, S, K]."""

    def respond(self, key, carry, percept: Percept):
        """Draws one of the tables that no trial contradicts; if there is none, infers each cue's answer separately."""
        carry = carry + self.compute_evidence(percept)
        positive = jnp.maximum(carry[:, : self.tables.shape[1]], 0.0)
        contradiction = jnp.einsum("nsk,msk->nm", positive, 1.0 - self.expand_tables())
        is_fitting = (contradiction < 1e-6).astype(jnp.float32)
        count = is_fitting.sum(-1, keepdims=True)
        located_probabilities = self.average_answers(is_fitting / jnp.maximum(count, 1.0), percept)
        learned_probabilities = jax.nn.softmax(self.select_row(carry, percept))
        return carry, choose(
            key, compute_log_probs_with_lapses(jnp.where(count > 0, located_probabilities, learned_probabilities), 0.0)
        )


@keep_settings
def subject(family: Family) -> BankFirst:
    """Locates its table if the family's bank contains it, and learns the table otherwise.

    Args:
        family: association tasks with a bank, preferably without noise.
    """
    bank, settings = read_bank_settings(family, "search first")
    return BankFirst(*settings, trained_on=bank)
