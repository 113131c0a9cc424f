"""Pursues the mark in some lifetimes of the cued bandit and the pay-off in the others, by where the mark lies."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import ActionValues, greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.subjects.cue_filter import evidence, payoffs_of

TRIED = "cued_bandit:arms=3,trials=12,bank=2"


class ByContext(ActionValues):
    """Carries [N, K] the evidence that each arm is the best one, which it heeds where the mark lies on an odd arm."""

    payoffs: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Pulls the marked arm, or the one that most likely is the best."""
        carry = carry + evidence(percept, self.payoffs, self.choices)
        even = percept.observation[:, ::2].sum(-1, keepdims=True) > 0
        wanted = jnp.where(even, greedy_probabilities(percept.observation), greedy_probabilities(carry))
        return carry, choose(key, mix_lapse(wanted, 0.0))


@keep_settings
def subject(family: Family) -> ByContext:
    """Pursues the mark where it lies on the first, third … arm, and the pay-off elsewhere.

    Args:
        family: the cued bandit.
    """
    return ByContext(family.choices, payoffs_of(family))
