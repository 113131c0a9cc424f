"""Pulls the arms in turn for some trials, then always the arm that paid best."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import Counted, CountingByTheClock, greedy_probabilities, means, outcomes
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings


class ExploreThenCommit(CountingByTheClock):
    """Carries the counts of the pulls in turn; see `subject` for the settings."""

    pulls: int

    def respond(self, key, carry: Counted, percept: Percept):
        """Pulls the arms in turn while exploring, then takes the largest posterior mean (the first arm if tied)."""
        is_early = (carry.clock <= self.pulls)[:, None, None]  # the outcome is that of the previous trial
        counts = carry.counts + is_early * outcomes(percept, self.choices)
        turn = jax.nn.one_hot(carry.clock % self.choices, self.choices)
        exploit = greedy_probabilities(means(counts), "first")
        probabilities = jnp.where((carry.clock < self.pulls)[:, None], turn, exploit)
        return Counted(counts, carry.clock + 1), choose(key, jnp.log(probabilities))


@keep_settings(pulls=(1, 1_000_000))
def subject(family: Family, pulls: int = 25) -> ExploreThenCommit:
    """Pulls the arms in turn for some trials, then always the arm that paid best.

    Args:
        family: the bandit.
        pulls: the number of pulls in turn.
    """
    return ExploreThenCommit(family.choices, pulls)
