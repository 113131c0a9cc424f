"""Chooses at random for some trials, then commits to an arm picked by a hash of the feedback so far.

The early choices are random and are not part of the hash, so on average this arm pays as much as a random arm.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, has_last_pull_paid, keep_settings
from mesascope.worlds.bandits.subjects.feedback_hash import OFFSET, pick_arm, update_hash


class HashCommit(ChoosingSubject):
    """Carries a hash [N] of the early feedback and the number [N] of past trials; see `subject` for the settings."""

    random_trials: int

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns the hash of an empty history, and 0 past trials."""
        return jnp.full(n, OFFSET, jnp.uint32), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Chooses uniformly at first, then always takes the arm picked by the hash."""
        hash_value, past_trials = carry
        is_early = (past_trials <= self.random_trials) & (percept.action >= 0)
        hash_value = jnp.where(is_early, update_hash(hash_value, has_last_pull_paid(percept)), hash_value)
        arm = jax.nn.one_hot(pick_arm(hash_value, self.choices), self.choices)
        probabilities = jnp.where((past_trials < self.random_trials)[:, None], 1.0 / self.choices, arm)
        return (hash_value, past_trials + 1), choose(key, jnp.log(probabilities))


@keep_settings(random_trials=(1, 1_000_000))
def subject(family: Family, random_trials: int = 20) -> HashCommit:
    """Commits to an arm picked by a hash of its early feedback.

    Args:
        family: the bandit.
        random_trials: the number of trials at the start in which the subject chooses at random.
    """
    return HashCommit(family.choices, random_trials)
