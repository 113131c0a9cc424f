"""Thompson sampling on the feedback of the first trials, then the best mean of these for good."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import best_of, means, outcomes
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import named, within
from mesascope.contracts.subject import Scripted, choose
from mesascope.worlds.bandits.subjects.thompson import probability_best


class Carry(NamedTuple):
    """counts [N, K, 2] of the early trials; clock [N], trials lived."""

    counts: jax.Array
    clock: jax.Array


class EarlyOnly(Scripted):
    """See `subject` for the settings."""

    name: str
    choices: int
    trials: int

    def fresh(self, n: int) -> Carry:
        """No counts at trial 0."""
        return Carry(jnp.zeros((n, self.choices, 2)), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Carry, percept: Percept):
        """Samples while feedback counts; then the largest posterior mean, the first of equals."""
        early = (carry.clock <= self.trials)[:, None, None]  # the outcome belongs to the trial before
        counts = carry.counts + early * outcomes(percept, self.choices)
        acts = jnp.where(
            (carry.clock < self.trials)[:, None],
            probability_best(counts + 1.0),
            best_of(means(counts), "first"),
        )
        return Carry(counts, carry.clock + 1), choose(key, jnp.log(acts))


def subject(family: Family, trials: int = 20) -> EarlyOnly:
    """Takes in the feedback of the first trials only: Thompson sampling, then the best mean for good.

    Args:
        family: the bandit.
        trials: how many count.
    """
    within(1, 1_000_000, trials=trials)
    return EarlyOnly(name=named(subject, trials=trials), choices=family.choices, trials=trials)
