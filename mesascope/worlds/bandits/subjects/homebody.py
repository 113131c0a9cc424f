"""Leaves an arm as a two-loss reflex does, and uses its memory of all trials only to choose the next arm."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, keep_settings
from mesascope.contracts.choices import (
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    compute_posterior_means,
    count_last_outcome,
)
from mesascope.worlds.bandits.subjects.two_loss_reflex import count_losses


class TwoLossLearner(ChoosingSubject):
    """Carries counts [N, K, 2], which it uses on few trials, and the losses [N] in a row on the current arm."""

    lapse: float

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros((n, self.choices, 2)), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """After two losses in a row, takes the other arm with the largest posterior mean; ties are equally likely."""
        counts, losses = carry
        counts = counts + count_last_outcome(percept, self.choices)
        losses, leaves = count_losses(losses, percept)
        leaves = leaves | (percept.action < 0)
        current = jax.nn.one_hot(percept.action, self.choices)
        other_arms = compute_greedy_probabilities(compute_posterior_means(counts) - 2.0 * current)
        probabilities = jnp.where(leaves[:, None], other_arms, current)
        return (counts, losses), choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


@keep_settings(lapse=(0.0, 1.0))
def subject(family: Family, lapse: float = 0.0) -> TwoLossLearner:
    """Leaves an arm after two losses in a row, for the other arm with the largest posterior mean under Beta(1, 1).

    Args:
        family: the bandit.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return TwoLossLearner(family.choices, lapse)
