"""A two-loss reflex that leaves an arm for another arm, which a hash picks.

The hash is that of all feedback so far, or of the number of past trials and a random number drawn on the first trial.
So older trials decide which arm comes next, but on average that arm pays as much as a random one.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, has_last_pull_paid, keep_settings
from mesascope.worlds.bandits.subjects.feedback_hash import OFFSET, pick_arm, update_hash
from mesascope.worlds.bandits.subjects.two_loss_reflex import count_losses


class HashTurningReflex(ChoosingSubject):
    """Carries the losses in a row on the current arm, the hash, and the number of past trials, [N] each."""

    has_separate_rows: ClassVar[bool] = True  # a response depends only on the carry of its own lifetime

    hash_source: str

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        zero = jnp.zeros(n, jnp.int32)
        return zero, jnp.full(n, OFFSET, jnp.uint32), zero

    def respond(self, key, carry, percept: Percept):
        """Stays until two losses in a row, then moves on by a number of arms that depends on the hash."""
        losses, hash_value, past_trials = carry
        birth_key, key = jax.random.split(key)
        if self.hash_source == "birth":
            hash_value = jnp.where(
                past_trials == 0, jax.random.bits(birth_key, hash_value.shape, jnp.uint32), hash_value
            )
            mixed_hash = hash_value + past_trials.astype(jnp.uint32) * jnp.uint32(2654435761)
        else:
            mixed_hash = hash_value = jnp.where(
                percept.action < 0, hash_value, update_hash(hash_value, has_last_pull_paid(percept))
            )
        losses, leaves = count_losses(losses, percept)
        next_arm = (percept.action + 1 + pick_arm(mixed_hash, self.choices - 1)) % self.choices
        arm = jax.nn.one_hot(jnp.where(leaves, next_arm, percept.action), self.choices)
        probabilities = jnp.where((percept.action < 0)[:, None], 1.0 / self.choices, arm)
        return (losses, hash_value, past_trials + 1), choose(key, jnp.log(probabilities))


@keep_settings(hash_source=("feedback", "birth"))
def subject(family: Family, hash_source: str = "feedback") -> HashTurningReflex:
    """Leaves an arm after two losses in a row for another arm, which a hash picks.

    Args:
        family: the bandit.
        hash_source: what is hashed: 'feedback', all feedback so far; or 'birth', a number drawn on the first trial, and
            the number of past trials.
    """
    return HashTurningReflex(family.choices, hash_source)
