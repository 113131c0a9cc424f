"""Pulls a random arm with a fixed probability, otherwise the arm with the largest posterior mean."""

import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, keep_settings
from mesascope.contracts.choices import (
    TIE_RULES,
    CountingSubject,
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    compute_posterior_means,
    count_last_outcome,
)


class EpsilonGreedy(CountingSubject):
    """Carries counts of wins and losses, [N, K, 2]."""

    epsilon: float
    ties: str
    tries_each_first: bool

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, then pulls a random arm with probability `epsilon`, otherwise a best arm."""
        carry = carry + count_last_outcome(percept, self.choices)
        values = compute_posterior_means(carry)
        if self.tries_each_first:  # untried arms have the largest value
            values = jnp.where(carry.sum(-1) > 0, compute_posterior_means(carry, 0.0, 1e-9), 2.0)
        return carry, choose(
            key, compute_log_probs_with_lapses(compute_greedy_probabilities(values, self.ties), self.epsilon)
        )


@keep_settings(epsilon=(0, 1), ties=TIE_RULES)
def subject(
    family: Family, epsilon: float = 0.1, ties: str = "random", tries_each_first: bool = False
) -> EpsilonGreedy:
    """Pulls a random arm with a fixed probability, otherwise the arm with the largest posterior mean under Beta(1, 1).

    Args:
        family: the bandit.
        epsilon: the probability of choosing uniformly at random among all arms.
        ties: how ties between means are broken: 'random' (equally likely) or 'first' (the lowest index).
        tries_each_first: whether to try each arm once and then compare the observed means, without a prior.
    """
    return EpsilonGreedy(family.choices, epsilon, ties, tries_each_first)
