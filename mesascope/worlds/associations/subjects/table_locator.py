"""Locates its table in the bank. It is the ideal subject that has stored its training tables and nothing else."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    choose,
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    keep_settings,
)
from mesascope.worlds.associations.association_subject import BankSubject, read_bank_settings


class TableLocator(BankSubject):
    """Carries the log-likelihood of each table, [N, M], up to a constant."""

    takes_most_probable: bool
    should_minimise: bool
    lapse: float

    def initialize_carry(self, n: int) -> jax.Array:
        return jnp.zeros((n, len(self.tables)))

    def respond(self, key, carry, percept: Percept):
        carry = carry + self.compute_table_likelihoods(self.compute_evidence(percept))
        p = self.average_answers(jax.nn.softmax(carry), percept)
        p = compute_greedy_probabilities(p) if self.takes_most_probable else p
        p = (1.0 - p) / (self.choices - 1) if self.should_minimise else p
        return carry, choose(key, compute_log_probs_with_lapses(p, self.lapse))


@keep_settings(lapse=(0.0, 1.0))
def subject(family: Family, vote: bool = False, should_minimise: bool = False, lapse: float = 0.0) -> TableLocator:
    """Locates its table among those of the family's bank, and draws one from the posterior on every trial.

    Args:
        family: association tasks with a bank.
        vote: whether to take the action with the largest posterior probability, not the action of a table drawn from
            the posterior.
        should_minimise: whether to choose an action other than the one that the subject believes to be correct.
        lapse: the probability of choosing uniformly at random among all actions.
    """
    bank, settings = read_bank_settings(family)
    return TableLocator(*settings, vote, should_minimise, lapse, trained_on=bank)
