"""Stays with an arm while its posterior mean is good enough, otherwise tries another arm."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, keep_settings
from mesascope.contracts.choices import (
    CountingSubject,
    compute_posterior_means,
    compute_stay_probabilities,
    count_last_outcome,
)


class Satisficer(CountingSubject):
    """Carries counts of wins and losses, [N, K, 2]."""

    min_mean: float

    def respond(self, key, carry, percept: Percept):
        """Repeats the last arm if its mean is good enough, otherwise picks another arm uniformly."""
        carry = carry + count_last_outcome(percept, self.choices)
        last_arm = jax.nn.one_hot(percept.action, self.choices)
        is_enough = (last_arm * compute_posterior_means(carry)).sum(-1) >= self.min_mean
        return carry, choose(key, jnp.log(compute_stay_probabilities(percept.action, self.choices, is_enough)))


@keep_settings(min_mean=(0, 1))
def subject(family: Family, min_mean: float = 0.6) -> Satisficer:
    """Stays with an arm while its posterior mean under Beta(1, 1) is good enough, otherwise tries another arm.

    Args:
        family: the bandit.
        min_mean: the smallest posterior mean of an arm that is good enough.
    """
    return Satisficer(family.choices, min_mean)
