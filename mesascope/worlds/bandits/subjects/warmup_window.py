"""Chooses at random for some trials, counted in its carry, then pulls the arm that paid most in the last few trials."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    keep_settings,
)


class WarmupWindow(ChoosingSubject):
    """Carries the pay-offs [N, window, K] of the last pulls by arm, the newest last, and the number [N] of past trials.

    The number of trials decides only when the warm-up ends.
    """

    window: int
    warmup: int
    lapse: float

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros((n, self.window, self.choices)), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        payoffs, past_trials = carry
        last_payoffs = jax.nn.one_hot(percept.action, self.choices) * percept.feedback[:, None]
        payoffs = jnp.concatenate([payoffs[:, 1:], last_payoffs[:, None]], 1)
        is_warmup = (past_trials < self.warmup)[:, None]
        probabilities = jnp.where(is_warmup, 1.0 / self.choices, compute_greedy_probabilities(payoffs.sum(1)))
        return (payoffs, past_trials + 1), choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


@keep_settings(window=(1, 1000), warmup=(0, 1_000_000), lapse=(0.0, 1.0))
def subject(family: Family, window: int = 4, warmup: int = 20, lapse: float = 0.1) -> WarmupWindow:
    """Pulls the arm that paid most in the last few trials, after a warm-up in which the subject chooses at random.

    Args:
        family: the bandit.
        window: the number of last trials whose pay-offs count.
        warmup: the number of trials at the start, counted in the subject's carry, in which it chooses at random.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return WarmupWindow(family.choices, window, warmup, lapse)
