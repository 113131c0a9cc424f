"""Pulls the arm with the largest posterior mean, and at a fixed rate any arm."""

import jax.numpy as jnp

from mesascope.contracts.choices import TIES, Counting, greedy_probabilities, means, mix_lapse, outcomes
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings


class EpsilonGreedy(Counting):
    """Counts [N, K, 2]."""

    epsilon: float
    ties: str
    each_first: bool

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, then the best mean but for a part `epsilon` of the choices."""
        carry = carry + outcomes(percept, self.choices)
        values = means(carry)
        if self.each_first:  # untried arms above all others
            values = jnp.where(carry.sum(-1) > 0, means(carry, 0.0, 1e-9), 2.0)
        return carry, choose(key, mix_lapse(greedy_probabilities(values, self.ties), self.epsilon))


@keep_settings(epsilon=(0, 1), ties=TIES)
def subject(
    family: Family, epsilon: float = 0.1, ties: str = "random", each_first: bool = False
) -> EpsilonGreedy:
    """Pulls the arm with the largest posterior mean under Beta(1, 1), and at a fixed rate any arm.

    Args:
        family: the bandit.
        epsilon: part of the choices that is even over all arms.
        ties: random (shared evenly) or first.
        each_first: try every arm once, then compare the means as seen, without a prior.
    """
    return EpsilonGreedy(family.choices, epsilon, ties, each_first)
