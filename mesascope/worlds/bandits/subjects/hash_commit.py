"""Chooses at random for some trials, then commits to an arm picked by a hash of the feedback so far.

The early choices are random and are not part of the hash, so the arm is on average no better than chance.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import paid_last
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.subjects.feedback_hash import OFFSET, pick_arm, update_hash


class Carry(NamedTuple):
    """state [N], the hash of early feedback; clock [N], the number of past trials."""

    state: jax.Array
    clock: jax.Array


class HashCommit(Choosing):
    """Carries a hash of the early feedback; see `subject` for the settings."""

    trials: int

    def fresh(self, n: int) -> Carry:
        """The hash of an empty history, at trial 0."""
        return Carry(jnp.full(n, OFFSET, jnp.uint32), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Carry, percept: Percept):
        """Chooses uniformly at first, then always takes the arm picked by the hash."""
        early = (carry.clock <= self.trials) & (percept.action >= 0)
        state = jnp.where(early, update_hash(carry.state, paid_last(percept)), carry.state)
        arm = jax.nn.one_hot(pick_arm(state, self.choices), self.choices)
        acts = jnp.where((carry.clock < self.trials)[:, None], 1.0 / self.choices, arm)
        return Carry(state, carry.clock + 1), choose(key, jnp.log(acts))


@keep_settings(trials=(1, 1_000_000))
def subject(family: Family, trials: int = 20) -> HashCommit:
    """Commits to an arm picked by a hash of its early feedback.

    Args:
        family: the bandit.
        trials: the number of random trials at the start.
    """
    return HashCommit(family.choices, trials)
