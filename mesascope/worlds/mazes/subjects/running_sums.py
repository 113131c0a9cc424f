"""Adds up a row of bits, a few on each tick, and answers at random until the sum is complete."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, keep_settings, require_family
from mesascope.worlds.mazes.families.prefix_sums import PrefixSums

CHECK_FAMILY = "prefix_sums:length=6,trials=12,bank=3"


class RunningSums(ScriptedSubject):
    """Carries the number [N] of bits added so far, and the observation [N, L + 1] with these bits."""

    length: int
    bits_per_tick: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns a carry in which no bit is added."""
        return jnp.zeros(n, jnp.int32), jnp.full((n, self.length + 1), -1.0)

    def respond(self, key, carry, percept: Percept):
        """Adds the next bits of the row; both answers are equally likely until the sum has reached the place."""
        added_bits, last_observation = carry
        is_same = (percept.observation == last_observation).all(-1)
        added_bits = jnp.where(is_same, added_bits, 0) + self.bits_per_tick
        row, place = percept.observation[:, :-1], percept.observation[:, -1].astype(jnp.int32)
        parity = (row * (jnp.arange(self.length) <= place[:, None])).sum(-1).astype(jnp.int32) % 2
        has_reached_place = (added_bits > place)[:, None]
        return (added_bits, percept.observation), choose(
            key, jnp.log(jnp.where(has_reached_place, jax.nn.one_hot(parity, 2), 0.5))
        )


@keep_settings(bits=(1, 512))
def subject(family: Family, bits: int = 1) -> RunningSums:
    """Adds up the bits that it observes, a few on each tick.

    Args:
        family: the family of running sums, `prefix_sums`.
        bits: the number of bits that the subject adds on each tick.
    """
    length = require_family(family, PrefixSums, "shows no row of bits", "Take --family prefix_sums.").episode_steps
    return RunningSums(length, jnp.asarray(bits, jnp.int32))
