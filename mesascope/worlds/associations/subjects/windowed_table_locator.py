"""Locates its table in the bank from the last few trials alone."""

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


class WindowedTableLocator(BankSubject):
    """Carries each table's log-likelihoods on the trials before the last, [N, window - 1, M]; () if window < 2."""

    window: int

    def initialize_carry(self, n: int):
        return jnp.zeros((n, self.window - 1, len(self.tables))) if self.window > 1 else ()

    def respond(self, key, carry, percept: Percept):
        """Takes the action that is most probable under the posterior over the bank's tables, given the last trials."""
        fit = self.compute_table_likelihoods(self.compute_evidence(percept)) * (self.window > 0)
        if self.window > 1:
            trials = jnp.concatenate([carry, fit[:, None]], 1)
            carry, fit = trials[:, 1:], trials.sum(1)
        p = self.average_answers(jax.nn.softmax(fit), percept)
        return carry, choose(key, compute_log_probs_with_lapses(compute_greedy_probabilities(p), 0.0))


@keep_settings(window=(0, 64))
def subject(family: Family, window: int = 4) -> WindowedTableLocator:
    """Locates its table in the family's bank from the last few trials alone.

    Args:
        family: association tasks with a bank.
        window: the number of last trials that the subject uses; with 0 it answers each cue with the action that is most
            frequent for this cue in the bank.
    """
    bank, settings = read_bank_settings(family, "answer from")
    return WindowedTableLocator(*settings, window, trained_on=bank)
