"""Locates its table in the bank. It is the ideal of a subject that has stored its training tables and nothing else."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings, require_bank
from mesascope.worlds.associations.evidence import TRIED as TRIED
from mesascope.worlds.associations.evidence import Cued, of_task, require_associations


class TableLocator(Cued):
    """Carries the log-likelihood [N, M] of each table, up to a constant."""

    tables: jax.Array  # [M, S]
    vote: bool
    minimise: bool
    lapse: float

    def fresh(self, n: int) -> jax.Array:
        return jnp.zeros((n, len(self.tables)))

    def respond(self, key, carry, percept: Percept):
        one_hot = jax.nn.one_hot(self.tables, self.choices)  # [M, S, K]
        cues = self.tables.shape[1]
        carry = carry + jnp.einsum("nsk,msk->nm", self.evidence(percept).table[:, :cues], one_hot)
        p = jnp.einsum("nm,msk,ns->nk", jax.nn.softmax(carry), one_hot, self.present(percept)[:, :cues])
        p = greedy_probabilities(p) if self.vote else p
        p = (1.0 - p) / (self.choices - 1) if self.minimise else p
        return carry, choose(key, mix_lapse(p, self.lapse))


@keep_settings(lapse=(0.0, 1.0))
def subject(family: Family, vote: bool = False, minimise: bool = False, lapse: float = 0.0) -> TableLocator:
    """Locates its table among those of the family's bank, and draws one from the posterior on every trial.

    Args:
        family: association tasks with a bank.
        vote: whether to take the action with the largest posterior probability, not the action of one drawn table.
        minimise: whether to choose an action other than the one it believes is right.
        lapse: the probability of choosing uniformly at random among all actions.
    """
    task = of_task(family)
    tables = require_associations(family).bank_tables
    bank, tables = require_bank(family, tables, "has no bank of tables to locate one in", "Give it one: bank=4.")
    return TableLocator(*task, tables, vote, minimise, lapse, trained_on=bank)
