"""Knows one prototype of a task per arm, in which only this arm pays well; draws one of them from the posterior."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    CountingSubject,
    Family,
    Percept,
    choose,
    compute_log_probs_with_lapses,
    count_last_outcome,
    keep_settings,
)
from mesascope.errors import MesascopeError


class PrototypeLocator(CountingSubject):
    """Carries counts of wins and losses, [N, K, 2]."""

    high: float
    low: float
    lapse: float

    def respond(self, key, carry, percept: Percept):
        """Draws a prototype from the posterior over all of them and pulls its good arm."""
        carry = carry + count_last_outcome(percept, self.choices)
        per_win = jnp.log(self.high) - jnp.log(self.low)
        per_loss = jnp.log1p(-self.high) - jnp.log1p(-self.low)
        posterior = jax.nn.softmax(carry[..., 0] * per_win + carry[..., 1] * per_loss)
        return carry, choose(key, compute_log_probs_with_lapses(posterior, self.lapse))


@keep_settings(high=(0.001, 0.999), low=(0.001, 0.999), lapse=(0.0, 1.0))
def subject(family: Family, high: float = 0.8, low: float = 0.4, lapse: float = 0.0) -> PrototypeLocator:
    """Draws one of K prototypes from the posterior, and pulls its good arm; the k-th arm is good in the k-th prototype.

    Args:
        family: the bandit.
        high: the mean pay-off of the good arm of a prototype.
        low: the mean pay-off of every other arm of a prototype.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    if high <= low:
        raise MesascopeError(f"high={high} is not above low={low}.", "Give e.g. high=0.8,low=0.4.")
    return PrototypeLocator(family.choices, high, low, lapse)
