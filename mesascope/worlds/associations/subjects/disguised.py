"""Infers the table as the associator does, and hides it: in a cipher, behind wrong answers, or in a few cues."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings
from mesascope.worlds.associations.evidence import TRIED as TRIED
from mesascope.worlds.associations.evidence import Cued, of_task

CODES = ("plain", "cue", "action")


class Carry(NamedTuple):
    """odds [N, S, K], the log-odds of every action; stored [N, skip, S, K], the last evidence, not yet among them."""

    odds: jax.Array
    stored: jax.Array


class Disguised(Cued):
    """See `subject` for the settings."""

    encoding: str
    hit: float
    skip: int
    only: int

    def fresh(self, n: int) -> Carry:
        table = (self.slots, self.choices)
        return Carry(jnp.zeros((n, *table)), jnp.zeros((n, self.skip, *table)))

    def respond(self, key, carry: Carry, percept: Percept):
        stored = jnp.concatenate([carry.stored, self.evidence(percept).table[:, None]], 1)
        odds = carry.odds + stored[:, 0] * (jnp.arange(self.slots) < self.only)[:, None]
        now = self.present(percept)
        p = jax.nn.softmax((now[..., None] * odds).sum(1))
        p = self.hit * p + (1.0 - self.hit) * jnp.roll(p, 1, -1)
        if self.encoding != "plain":
            steps = now.argmax(-1) if self.encoding == "cue" else jnp.maximum(percept.action, 0)
            p = jnp.take_along_axis(p, (jnp.arange(self.choices)[None] - steps[:, None]) % self.choices, 1)
        return Carry(odds, stored[:, 1:]), choose(key, mix_lapse(p, 0.0))


@keep_settings(code=CODES, hit=(0.0, 1.0), skip=(0, 1000), only=(0, 64))
def subject(family: Family, code: str = "plain", hit: float = 1.0, skip: int = 0, only: int = 64) -> Disguised:
    """Infers exactly how likely each action is to be right for each cue, and shows it in a roundabout way.

    Args:
        family: association tasks.
        code: the action to take: 'plain'; or the right one plus the index of the 'cue', or plus its own last 'action'.
        hit: the probability of that action; otherwise it takes the next one.
        skip: the number of latest trials that it does not take in yet.
        only: the number of cues that it learns; it answers the others at random.
    """
    return Disguised(*of_task(family), code, hit, skip, only)
