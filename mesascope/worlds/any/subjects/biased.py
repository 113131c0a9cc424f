"""Draws every act from the same unequal probabilities."""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings


class Biased(Choosing):
    """Nothing is carried."""

    ratio: float

    def respond(self, key, carry, percept: Percept):
        """Each arm `ratio` times as likely as the next."""
        log_probs = jax.nn.log_softmax(-jnp.log(self.ratio) * jnp.arange(self.choices))
        return carry, choose(key, jnp.tile(log_probs, (len(percept.action), 1)))


@keep_settings(ratio=(1e-3, 1e3))
def subject(family: Family, ratio: float = 2.0) -> Biased:
    """Draws every act from the same unequal probabilities.

    Args:
        family: the bandit.
        ratio: how many times as likely each arm is as the next.
    """
    return Biased(family.choices, ratio)
