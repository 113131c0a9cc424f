"""Picks every arm by a hash of all feedback so far; old feedback changes the choice, but not the expected score."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, has_last_pull_paid, keep_settings

OFFSET, PRIME = 2166136261, 16777619  # constants of the FNV-1a hash


class FeedbackHash(ChoosingSubject):
    """Carries a hash of the feedback so far, [N]."""

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns the hash of an empty history."""
        return jnp.full(n, OFFSET, jnp.uint32)

    def respond(self, key, carry, percept: Percept):
        """Adds the last feedback to the hash, then picks the arm from the hash."""
        carry = jnp.where(percept.action < 0, carry, update_hash(carry, has_last_pull_paid(percept)))
        arm = jax.nn.one_hot(pick_arm(carry, self.choices), self.choices)
        return carry, choose(key, jnp.log(arm))


def update_hash(state: jax.Array, bit: jax.Array) -> jax.Array:
    """Adds one more bit [N] to an FNV-1a hash [N], and returns the new hash."""
    return (state ^ (1 + bit.astype(jnp.uint32))) * jnp.uint32(PRIME)


def pick_arm(state: jax.Array, choices: int) -> jax.Array:
    """Picks an arm [N] from a hash [N] after mixing the bits of the hash (the finaliser of MurmurHash3)."""
    state = (state ^ (state >> 16)) * jnp.uint32(0x85EBCA6B)
    state = (state ^ (state >> 13)) * jnp.uint32(0xC2B2AE35)
    return ((state ^ (state >> 16)) % choices).astype(jnp.int32)


@keep_settings
def subject(family: Family) -> FeedbackHash:
    """Picks every arm by a hash of all feedback so far.

    Args:
        family: the bandit.
    """
    return FeedbackHash(family.choices)
