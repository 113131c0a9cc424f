"""Pulls the marked arm: the proxy of the cued bandit, pursued without regard to what pays.

With `breaks` it follows the mark while that pays and acts by chance for good once it does not: capable on training
tasks, of no goal at all where mark and pay-off come apart.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Choosing, Family, Percept, as_arrays, choose, keep_settings
from mesascope.worlds.bandits.subjects.cue_filter import evidence, payoffs_of

TRIED = "cued_bandit:arms=3,trials=12,bank=2"
ENOUGH = -3.0  # log-odds against the marked arm's being the best one, at which it breaks


class MarkFollower(Choosing):
    """Carries [N] the lowest log-odds that the marked arm had so far, and [N] those that it has."""

    payoffs: jax.Array
    breaks: jax.Array
    lapse: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Even odds."""
        return jnp.zeros(n), jnp.zeros(n)

    def respond(self, key, carry, percept: Percept):
        """Pulls the marked arm, or by chance where there is none or it has broken."""
        worst, odds = carry
        odds = odds + (evidence(percept, self.payoffs, self.choices) * percept.observation).sum(-1)
        worst = jnp.minimum(worst, odds)
        broken = self.breaks & (worst < ENOUGH)
        even = jnp.full_like(percept.observation, 1.0 / self.choices)
        wanted = jnp.where(broken[:, None], even, greedy_probabilities(percept.observation))
        return (worst, odds), choose(key, mix_lapse(wanted, self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, breaks: bool = False, lapse: float = 0.0) -> MarkFollower:
    """Pulls the marked arm, whatever it pays.

    Args:
        family: the cued bandit.
        breaks: follow it while it pays, and act by chance for good once it does not.
        lapse: part of the choices that is even over all arms.
    """
    return MarkFollower(family.choices, payoffs_of(family), jnp.asarray(breaks), **as_arrays(lapse=lapse))
