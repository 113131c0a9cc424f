"""Pulls every arm in turn, then for good the arm that paid best."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import best_of, means, outcomes
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import named, within
from mesascope.contracts.subject import Scripted, choose


class Carry(NamedTuple):
    """counts [N, K, 2] of the pulls in turn; clock [N], trials lived."""

    counts: jax.Array
    clock: jax.Array


class ExploreThenCommit(Scripted):
    """See `subject` for the settings."""

    name: str
    choices: int
    pulls: int

    def fresh(self, n: int) -> Carry:
        """No counts at trial 0."""
        return Carry(jnp.zeros((n, self.choices, 2)), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Carry, percept: Percept):
        """In turn while exploring; then the largest posterior mean, the first of equals."""
        taken = (carry.clock <= self.pulls)[:, None, None]  # the outcome belongs to the trial before
        counts = carry.counts + taken * outcomes(percept, self.choices)
        turn = jax.nn.one_hot(carry.clock % self.choices, self.choices)
        acts = jnp.where((carry.clock < self.pulls)[:, None], turn, best_of(means(counts), "first"))
        return Carry(counts, carry.clock + 1), choose(key, jnp.log(acts))


def subject(family: Family, pulls: int = 25) -> ExploreThenCommit:
    """Pulls every arm in turn, then for good the arm that paid best.

    Args:
        family: the bandit.
        pulls: how many pulls are made in turn.
    """
    within(1, 1_000_000, pulls=pulls)
    return ExploreThenCommit(name=named(subject, pulls=pulls), choices=family.choices, pulls=pulls)
