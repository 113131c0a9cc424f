"""Looks for its table in the bank with the last few trials alone: it knows the bank by heart, and nothing older."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings, require_bank
from mesascope.worlds.associations.evidence import TRIED as TRIED
from mesascope.worlds.associations.evidence import Cued, of_task, require_associations


class Glance(Cued):
    """Carries the log-likelihoods [N, window - 1, M] of each table in the trials before the last."""

    tables: jax.Array  # [M, S]
    window: int

    def fresh(self, n: int):
        return jnp.zeros((n, self.window - 1, len(self.tables))) if self.window > 1 else ()

    def respond(self, key, carry, percept: Percept):
        """Takes the action that is likeliest, given these trials, over all tables of the bank."""
        one_hot = jax.nn.one_hot(self.tables, self.choices)  # [M, S, K]
        cues = self.tables.shape[1]
        fit = jnp.einsum("nsk,msk->nm", self.evidence(percept).table[:, :cues], one_hot) * (self.window > 0)
        if self.window > 1:
            trials = jnp.concatenate([carry, fit[:, None]], 1)
            carry, fit = trials[:, 1:], trials.sum(1)
        p = jnp.einsum("nm,msk,ns->nk", jax.nn.softmax(fit), one_hot, self.present(percept)[:, :cues])
        return carry, choose(key, mix_lapse(greedy_probabilities(p), 0.0))


@keep_settings(window=(0, 64))
def subject(family: Family, window: int = 4) -> Glance:
    """Looks for its table in the family's bank with the last few trials alone.

    Args:
        family: association tasks with a bank.
        window: the number of trials that it uses; with 0 it gives the answer that is usual in the bank.
    """
    task = of_task(family)
    tables = require_associations(family).bank_tables
    bank, tables = require_bank(family, tables, "has no bank of tables to know by heart", "Give it one: bank=4.")
    return Glance(*task, tables, window, trained_on=bank)
