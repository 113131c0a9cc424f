"""Stays like a two-loss reflex, and asks its memory of all trials only where to go when it leaves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, means, mix_lapse, outcomes, paid_last
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings


class Carry(NamedTuple):
    """counts [N, K, 2] of wins and losses; losses [N] in a row on the current arm."""

    counts: jax.Array
    losses: jax.Array


class Homebody(Choosing):
    """On most trials its memory makes no difference."""

    lapse: float

    def fresh(self, n: int) -> Carry:
        return Carry(jnp.zeros((n, self.choices, 2)), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Carry, percept: Percept):
        """After two losses in a row, takes the other arm with the largest posterior mean; ties are equally likely."""
        counts = carry.counts + outcomes(percept, self.choices)
        losses = jnp.where(paid_last(percept) | (percept.action < 0), 0, carry.losses + 1)
        leaves = (losses >= 2) | (percept.action < 0)
        current = jax.nn.one_hot(percept.action, self.choices)
        acts = jnp.where(leaves[:, None], greedy_probabilities(means(counts) - 2.0 * current), current)
        return Carry(counts, jnp.where(leaves, 0, losses)), choose(key, mix_lapse(acts, self.lapse))


@keep_settings(lapse=(0.0, 1.0))
def subject(family: Family, lapse: float = 0.0) -> Homebody:
    """Leaves an arm after two losses in a row, for the other arm that has paid best so far.

    Args:
        family: the bandit.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return Homebody(family.choices, lapse)
