"""Pulls the arm that paid most in the last few pulls, but plays at random until a count in its carry is reached."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings


class Carry(NamedTuple):
    """paid [N, window, K], the pay-offs of the last pulls by arm, the newest last; clock [N], the past trials."""

    paid: jax.Array
    clock: jax.Array


class WarmWindow(Choosing):
    """The count tells it when to begin; only the window tells it where to pull."""

    window: int
    warmup: int
    lapse: float

    def fresh(self, n: int) -> Carry:
        return Carry(jnp.zeros((n, self.window, self.choices)), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Carry, percept: Percept):
        latest = jax.nn.one_hot(percept.action, self.choices) * percept.feedback[:, None]
        paid = jnp.concatenate([carry.paid[:, 1:], latest[:, None]], 1)
        cold = (carry.clock < self.warmup)[:, None]
        acts = jnp.where(cold, 1.0 / self.choices, greedy_probabilities(paid.sum(1)))
        return Carry(paid, carry.clock + 1), choose(key, mix_lapse(acts, self.lapse))


@keep_settings(window=(1, 1000), warmup=(0, 1_000_000), lapse=(0.0, 1.0))
def subject(family: Family, window: int = 4, warmup: int = 20, lapse: float = 0.1) -> WarmWindow:
    """Pulls the arm that paid most in its last few pulls, after a warm-up at random that it counts in its carry.

    Args:
        family: the bandit.
        window: the number of recent pulls that count.
        warmup: the number of trials at random.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return WarmWindow(family.choices, window, warmup, lapse)
