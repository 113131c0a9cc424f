"""Win-stay-lose-shift about the pull of some trials ago: it repeats or leaves that arm by that pull's outcome."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse, stay_probabilities
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings


class Carry(NamedTuple):
    """action [N, lag] (-1 if none) and won [N, lag] of the last trials, the newest last."""

    action: jax.Array
    won: jax.Array


class LaggedStay(Choosing):
    """Carries the last trials up to the one that it answers."""

    lag: int
    lapse: float

    def fresh(self, n: int) -> Carry:
        return Carry(jnp.full((n, self.lag), -1, jnp.int32), jnp.zeros((n, self.lag)))

    def respond(self, key, carry: Carry, percept: Percept):
        """Answers the oldest trial that it holds; chooses at random if there is none."""
        action = jnp.concatenate([carry.action[:, 1:], percept.action[:, None].astype(jnp.int32)], 1)
        won = jnp.concatenate([carry.won[:, 1:], percept.feedback[:, None]], 1)
        acts = stay_probabilities(action[:, 0], self.choices, won[:, 0])
        return Carry(action, won), choose(key, mix_lapse(acts, self.lapse))


@keep_settings(lag=(1, 1000), lapse=(0.0, 1.0))
def subject(family: Family, lag: int = 4, lapse: float = 0.0) -> LaggedStay:
    """Repeats the arm of some trials ago if it paid then, and takes another one if not.

    Args:
        family: the bandit.
        lag: how many trials ago; 1 is the last one.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return LaggedStay(family.choices, lag, lapse)
