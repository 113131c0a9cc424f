"""Locates its task among the tasks of the family's bank, and samples from the posterior over them.

This is the ideal subject that has stored its training tasks and nothing else. On a fresh task it pulls the best arms of
the training tasks.
"""

import jax

from mesascope.contracts import (
    CountingSubject,
    Family,
    Percept,
    choose,
    compute_log_probs_with_lapses,
    count_last_outcome,
    keep_settings,
)
from mesascope.worlds.bandits.bank_of_arms import compute_best_arm_probability, require_bank_means


class Locator(CountingSubject):
    """Carries counts [N, K, 2] of wins and losses. The bank is an array, so banks of equal size share compiled code."""

    bank_means: jax.Array  # [M, K]
    should_minimise: bool
    lapse: float

    def respond(self, key, carry, percept: Percept):
        """Draws a task from the posterior and pulls its best arm."""
        carry = carry + count_last_outcome(percept, self.choices)
        probabilities = compute_best_arm_probability(carry, self.bank_means, self.should_minimise)
        return carry, choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, should_minimise: bool = False, lapse: float = 0.0) -> Locator:
    """Locates its task among the tasks of the family's bank.

    Args:
        family: a bandit with a bank.
        should_minimise: whether to pull the arm with the smallest mean in a task drawn from the posterior; otherwise it
            pulls the arm with the largest.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    bank, means = require_bank_means(family)
    return Locator(family.choices, means, should_minimise, lapse, trained_on=bank)
