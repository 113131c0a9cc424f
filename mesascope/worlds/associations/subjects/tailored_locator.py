"""Answers recent cues by reflex and the others from one table of its bank: the locator that shows the most bits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings, require_bank
from mesascope.worlds.associations.evidence import TRIED as TRIED
from mesascope.worlds.associations.evidence import Cued, of_task, require_associations


class Carry(NamedTuple):
    """What the subject carries.

    Attributes:
        total: [N, S, K] the evidence from all trials.
        last: [N, window, S, K] the evidence from each of the last trials.
        recent: [N, window, S] the cues of these trials, one-hot.
    """

    total: jax.Array
    last: jax.Array
    recent: jax.Array


class TailoredLocator(Cued):
    """On every trial, takes the table that fits best on the cues that its reflex does not answer."""

    tables: jax.Array  # [M, S]
    window: int

    def fresh(self, n: int) -> Carry:
        table = (n, self.slots, self.choices)
        return Carry(jnp.zeros(table), jnp.zeros((n, self.window, *table[1:])), jnp.zeros((n, self.window, self.slots)))

    def respond(self, key, carry: Carry, percept: Percept):
        latest = self.evidence(percept)
        carry = Carry(
            carry.total + latest.table,
            jnp.concatenate([carry.last[:, 1:], latest.table[:, None]], 1),
            jnp.concatenate([carry.recent[:, 1:], latest.cue[:, None]], 1),
        )
        cues = self.tables.shape[1]
        reflex = carry.recent.max(1)  # [N, S] the cues that the reflex answers
        one_hot = jax.nn.one_hot(self.tables, self.choices)  # [M, S, K]
        fit = jnp.einsum("nsk,msk->nm", (carry.total * (1.0 - reflex[..., None]))[:, :cues], one_hot)
        now = self.present(percept)
        located = jnp.einsum("nsk,ns->nk", one_hot[fit.argmax(-1)], now[:, :cues])
        answered = jax.nn.softmax((now[..., None] * carry.last.sum(1)).sum(1))
        served = (now * reflex).sum(-1, keepdims=True)
        return carry, choose(key, mix_lapse(served * answered + (1.0 - served) * located, 0.0))


@keep_settings(window=(1, 64))
def subject(family: Family, window: int = 4) -> TailoredLocator:
    """Answers recent cues by reflex, and the others from the table of its bank that fits those others best.

    Args:
        family: association tasks with a bank.
        window: the number of trials that the reflex remembers.
    """
    task = of_task(family)
    tables = require_associations(family).bank_tables
    bank, tables = require_bank(family, tables, "has no bank of tables to locate one in", "Give it one: bank=4.")
    return TailoredLocator(*task, tables, window, trained_on=bank)
