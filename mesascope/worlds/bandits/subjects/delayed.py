"""Thompson sampling whose feedback channel is one trial late, known or not.

It holds back the last feedback and takes in the one before: booked on the arm that earned it where the delay
is known, on the arm pulled since where it is not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import outcomes
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.subjects.thompson import probability_best


class Carry(NamedTuple):
    """counts [N, K, 2]; the act [N] and the feedback [N] that are held back, -1 for none."""

    counts: jax.Array
    action: jax.Array
    feedback: jax.Array


class Delayed(Choosing):
    """See `subject` for the settings."""

    known: bool

    def fresh(self, n: int) -> Carry:
        """No counts, nothing held back."""
        return Carry(jnp.zeros((n, self.choices, 2)), jnp.full(n, -1, jnp.int32), jnp.zeros(n))

    def respond(self, key, carry: Carry, percept: Percept):
        """Books what was held back, holds back the last feedback, then samples."""
        held = carry.action >= 0
        arm = jnp.where(held, carry.action if self.known else percept.action, -1)
        late = percept._replace(action=arm, feedback=carry.feedback)
        counts = carry.counts + outcomes(late, self.choices)
        after = Carry(counts, percept.action, percept.feedback)
        return after, choose(key, jnp.log(probability_best(counts + 1.0)))


@keep_settings
def subject(family: Family, known: bool = True) -> Delayed:
    """Thompson sampling whose feedback channel is one trial late.

    Args:
        family: the bandit.
        known: False to book each outcome on the arm that was pulled after it.
    """
    return Delayed(family.choices, bool(known))
