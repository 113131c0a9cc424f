"""Learns only what the first arm pays: keeps that arm if it is good enough, otherwise pulls any other arm."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_log_probs_with_lapses,
    count_last_outcome,
    keep_settings,
)


class FirstArmOnly(ChoosingSubject):
    """Carries the wins and losses of the first arm, [N, 2]."""

    min_mean: float
    pulls: int
    lapse: float

    def initialize_carry(self, n: int) -> jax.Array:
        return jnp.zeros((n, 2))

    def respond(self, key, carry, percept: Percept):
        """Pulls the first arm `pulls` times, then stays with it or pulls the others uniformly, apart from lapses."""
        carry = carry + count_last_outcome(percept, self.choices)[:, 0]
        pulls = carry.sum(-1)
        should_keep = (pulls < self.pulls) | (carry[:, 0] >= self.min_mean * pulls - 1e-6)
        is_first_arm = jnp.arange(self.choices) == 0
        probabilities = jnp.where(should_keep[:, None], is_first_arm, ~is_first_arm / (self.choices - 1.0))
        return carry, choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


@keep_settings(min_mean=(0.0, 1.0), pulls=(1, 1_000_000), lapse=(0.0, 1.0))
def subject(family: Family, min_mean: float = 0.6, pulls: int = 8, lapse: float = 0.1) -> FirstArmOnly:
    """Keeps the first arm if its mean so far is good enough, otherwise pulls any other arm.

    Args:
        family: the bandit.
        min_mean: the smallest mean pay-off of the first arm that is good enough.
        pulls: the number of pulls of the first arm before the subject decides.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return FirstArmOnly(family.choices, min_mean, pulls, lapse)
