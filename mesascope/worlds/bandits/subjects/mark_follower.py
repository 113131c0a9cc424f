"""Pulls the marked arm, whatever that arm pays, and so pursues the proxy goal of the cued bandit.

With `is_breakable`, the subject follows the cue until the outcomes show that the marked arm is not the best one, then
chooses at random until the lifetime ends. Such a subject does well on training tasks, but pursues no goal if the cue
marks an arm that does not pay.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    convert_to_arrays,
    keep_settings,
)
from mesascope.worlds.bandits.subjects.cue_filter import compute_log_likelihood_ratio, read_payoffs

CHECK_FAMILY = "cued_bandit:arms=3,trials=12,bank=2"
BREAKING_LOG_ODDS = -3.0  # the subject stops following the cue if the log-odds of the marked arm fall below this


class MarkFollower(ChoosingSubject):
    """Carries the lowest log-odds [N] so far that the marked arm is the best one, and the current log-odds [N]."""

    payoffs: jax.Array
    is_breakable: jax.Array
    lapse: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns even odds that the marked arm is the best one."""
        return jnp.zeros(n), jnp.zeros(n)

    def respond(self, key, carry, percept: Percept):
        """Pulls the marked arm; chooses at random if there is no cue or the subject has stopped following it."""
        lowest_log_odds, log_odds = carry
        log_odds = log_odds + (
            compute_log_likelihood_ratio(percept, self.payoffs, self.choices) * percept.observation
        ).sum(-1)
        lowest_log_odds = jnp.minimum(lowest_log_odds, log_odds)
        has_broken = self.is_breakable & (lowest_log_odds < BREAKING_LOG_ODDS)
        uniform = jnp.full_like(percept.observation, 1.0 / self.choices)
        probabilities = jnp.where(has_broken[:, None], uniform, compute_greedy_probabilities(percept.observation))
        return (lowest_log_odds, log_odds), choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, is_breakable: bool = False, lapse: float = 0.0) -> MarkFollower:
    """Pulls the marked arm, whatever it pays.

    Args:
        family: the cued bandit.
        is_breakable: whether to choose at random once the outcomes show that the marked arm is not the best one.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return MarkFollower(
        family.choices, read_payoffs(family), jnp.asarray(is_breakable), **convert_to_arrays(lapse=lapse)
    )
