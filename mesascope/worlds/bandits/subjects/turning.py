"""A two-loss reflex that leaves an arm for the one that a hash picks: of all its feedback, or of a number of its own.

Its old trials, or its birth, decide which arm comes next, as a coin would.
"""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import paid_last
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.subjects.feedback_hash import OFFSET, pick_arm, update_hash

BY = ("feedback", "birth")


class Carry(NamedTuple):
    """losses [N] in a row on the current arm; state [N], the hash; clock [N], the number of past trials."""

    losses: jax.Array
    state: jax.Array
    clock: jax.Array


class Turning(Choosing):
    """See `subject` for the settings."""

    separate: ClassVar[bool] = True  # the order of lifetimes changes only what each one draws for itself and keeps

    by: str

    def fresh(self, n: int) -> Carry:
        zero = jnp.zeros(n, jnp.int32)
        return Carry(zero, jnp.full(n, OFFSET, jnp.uint32), zero)

    def respond(self, key, carry: Carry, percept: Percept):
        """Stays until two losses in a row, then moves on by the number of arms that the hash says."""
        birth, key = jax.random.split(key)
        if self.by == "birth":
            drawn = jax.random.bits(birth, carry.state.shape, jnp.uint32)
            state = jnp.where(carry.clock == 0, drawn, carry.state)
            mixed = state + carry.clock.astype(jnp.uint32) * jnp.uint32(2654435761)
        else:
            mixed = state = jnp.where(percept.action < 0, carry.state, update_hash(carry.state, paid_last(percept)))
        losses = jnp.where(paid_last(percept) | (percept.action < 0), 0, carry.losses + 1)
        leaves = losses >= 2
        goes = (percept.action + 1 + pick_arm(mixed, self.choices - 1)) % self.choices
        arm = jax.nn.one_hot(jnp.where(leaves, goes, percept.action), self.choices)
        acts = jnp.where((percept.action < 0)[:, None], 1.0 / self.choices, arm)
        return Carry(jnp.where(leaves, 0, losses), state, carry.clock + 1), choose(key, jnp.log(acts))


@keep_settings(by=BY)
def subject(family: Family, by: str = "feedback") -> Turning:
    """Leaves an arm after two losses in a row for the arm that a hash picks.

    Args:
        family: the bandit.
        by: what is hashed: all its feedback so far, or a number drawn at birth together with the time.
    """
    return Turning(family.choices, by)
