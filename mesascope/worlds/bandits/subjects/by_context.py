"""Follows the cue in some lifetimes of the cued bandit and seeks the pay-off in others, depending on the marked arm."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    ActionValueSubject,
    Family,
    Percept,
    choose,
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    keep_settings,
)
from mesascope.worlds.bandits.subjects.cue_filter import compute_log_likelihood_ratio, read_payoffs

CHECK_FAMILY = "cued_bandit:arms=3,trials=12,bank=2"


class GoalByContext(ActionValueSubject):
    """Carries the evidence that each arm is best, [N, K], and ignores the evidence if the cue marks arm 0, 2, 4, …"""

    payoffs: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Pulls the marked arm, or the arm that is most likely to be the best one."""
        carry = carry + compute_log_likelihood_ratio(percept, self.payoffs, self.choices)
        is_even = percept.observation[:, ::2].sum(-1, keepdims=True) > 0
        probabilities = jnp.where(
            is_even, compute_greedy_probabilities(percept.observation), compute_greedy_probabilities(carry)
        )
        return carry, choose(key, compute_log_probs_with_lapses(probabilities, 0.0))


@keep_settings
def subject(family: Family) -> GoalByContext:
    """Pulls the marked arm if this is the first, third, … arm, and otherwise seeks the pay-off.

    Args:
        family: the cued bandit.
    """
    return GoalByContext(family.choices, read_payoffs(family))
