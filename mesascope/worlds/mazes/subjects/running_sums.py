"""Adds up a row of bits, a few at each tick, and says what it has when it must answer."""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings, require_family
from mesascope.worlds.mazes.families.prefix_sums import PrefixSums

TRIED = "prefix_sums:length=6,trials=12,bank=3"


class RunningSums(Scripted):
    """Carries how far it has added [N] and the row that it adds [N, L + 1]; bits it has not come to may be either."""

    length: int
    bits: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Nothing added."""
        return jnp.zeros(n, jnp.int32), jnp.full((n, self.length + 1), -1.0)

    def respond(self, key, carry, percept: Percept):
        """Adds the next bits of the same row; where it has not come to the place, either answer is as likely."""
        done, before = carry
        same = (percept.observation == before).all(-1)
        done = jnp.where(same, done, 0) + self.bits
        row, place = percept.observation[:, :-1], percept.observation[:, -1].astype(jnp.int32)
        odd = (row * (jnp.arange(self.length) <= place[:, None])).sum(-1).astype(jnp.int32) % 2
        known = (done > place)[:, None]
        return (done, percept.observation), choose(
            key, jnp.log(jnp.where(known, jax.nn.one_hot(odd, 2), 0.5))
        )


@keep_settings(bits=(1, 512))
def subject(family: Family, bits: int = 1) -> RunningSums:
    """Adds up the bits that are shown, so many at each tick.

    Args:
        family: prefix sums.
        bits: how many a tick.
    """
    length = require_family(family, PrefixSums, "shows no row of bits", "Put it to prefix_sums.").length
    return RunningSums(length, jnp.asarray(bits, jnp.int32))
