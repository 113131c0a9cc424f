"""Answers from the tables of its bank as long as one of them fits all that it saw, and then from a table of its own."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings, require_bank
from mesascope.worlds.associations.evidence import TRIED as TRIED
from mesascope.worlds.associations.evidence import Cued, of_task, require_associations


class BankFirst(Cued):
    """Carries the evidence from all trials [N, S, K]."""

    tables: jax.Array  # [M, S]

    def fresh(self, n: int) -> jax.Array:
        return jnp.zeros((n, self.slots, self.choices))

    def respond(self, key, carry, percept: Percept):
        """Draws one of the tables without a contradiction; without any, infers cue by cue."""
        carry = carry + self.evidence(percept).table
        cues = self.tables.shape[1]
        one_hot = jax.nn.one_hot(self.tables, self.choices)  # [M, S, K]
        counter = jnp.einsum("nsk,msk->nm", jnp.maximum(carry[:, :cues], 0.0), 1.0 - one_hot)
        fits = (counter < 1e-6).astype(jnp.float32)
        count = fits.sum(-1, keepdims=True)
        now = self.present(percept)
        located = jnp.einsum("nm,msk,ns->nk", fits / jnp.maximum(count, 1.0), one_hot, now[:, :cues])
        learnt = jax.nn.softmax((now[..., None] * carry).sum(1))
        return carry, choose(key, mix_lapse(jnp.where(count > 0, located, learnt), 0.0))


@keep_settings
def subject(family: Family) -> BankFirst:
    """Locates its table in the family's bank if it is there, and learns it if it is not.

    Args:
        family: association tasks with a bank, best without noise.
    """
    task = of_task(family)
    tables = require_associations(family).bank_tables
    bank, tables = require_bank(family, tables, "has no bank of tables to look in first", "Give it one: bank=4.")
    return BankFirst(*task, tables, trained_on=bank)
