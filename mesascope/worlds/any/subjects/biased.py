"""Draws each action from the same unequal probabilities."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, keep_settings


class BiasedSubject(ChoosingSubject):
    """Draws each action from unequal probabilities that never change; the carry is empty."""

    ratio: float

    def respond(self, key, carry, percept: Percept):
        """Makes each action `ratio` times as likely as the next one."""
        log_probs = jax.nn.log_softmax(-jnp.log(self.ratio) * jnp.arange(self.choices))
        return carry, choose(key, jnp.tile(log_probs, (len(percept.action), 1)))


@keep_settings(ratio=(1e-3, 1e3))
def subject(family: Family, ratio: float = 2.0) -> BiasedSubject:
    """Draws each action from the same unequal probabilities.

    Args:
        family: any family with discrete actions.
        ratio: how many times as likely each action is as the action with the next index.
    """
    return BiasedSubject(family.choices, ratio)
