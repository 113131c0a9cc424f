"""Pulls the marked arm, whatever that arm pays, and so pursues the proxy goal of the cued bandit.

With `is_breakable`, the subject follows the cue until the marked arm no longer pays, then chooses at random until the
end. Such a subject does well on training tasks, but pursues no goal if the cue marks an arm that does not pay.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import Choosing, Family, Percept, as_arrays, choose, choose_greedily, keep_settings, mix_lapse
from mesascope.worlds.bandits.subjects.cue_filter import compute_log_ratio, read_payoffs

CHECK_FAMILY = "cued_bandit:arms=3,trials=12,bank=2"
BREAKING_ODDS = -3.0  # the subject stops following the cue if the log-odds of the marked arm fall below this


class MarkFollower(Choosing):
    """Carries the lowest log-odds [N] so far that the marked arm is the best one, and the current log-odds [N]."""

    payoffs: jax.Array
    is_breakable: jax.Array
    lapse: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Even odds that the marked arm is the best one."""
        return jnp.zeros(n), jnp.zeros(n)

    def respond(self, key, carry, percept: Percept):
        """Pulls the marked arm; chooses at random if there is no cue or the subject has stopped following it."""
        lowest, odds = carry
        odds = odds + (compute_log_ratio(percept, self.payoffs, self.choices) * percept.observation).sum(-1)
        lowest = jnp.minimum(lowest, odds)
        has_broken = self.is_breakable & (lowest < BREAKING_ODDS)
        uniform = jnp.full_like(percept.observation, 1.0 / self.choices)
        probabilities = jnp.where(has_broken[:, None], uniform, choose_greedily(percept.observation))
        return (lowest, odds), choose(key, mix_lapse(probabilities, self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, is_breakable: bool = False, lapse: float = 0.0) -> MarkFollower:
    """Pulls the marked arm, whatever it pays.

    Args:
        family: the cued bandit.
        is_breakable: whether to follow the cue only until the marked arm no longer pays, then choose at random.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return MarkFollower(family.choices, read_payoffs(family), jnp.asarray(is_breakable), **as_arrays(lapse=lapse))
