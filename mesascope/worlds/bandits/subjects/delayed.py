"""Thompson sampling with feedback that arrives one trial late; the subject may or may not know of the delay.

It stores the last feedback and learns from the one before. If it knows of the delay, it assigns that feedback to the
arm that earned it, otherwise to the arm that it pulled next.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import outcomes
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.subjects.thompson import probability_best


class Carry(NamedTuple):
    """counts [N, K, 2]; the action [N] (-1 for none) and the feedback [N] that are stored for one trial."""

    counts: jax.Array
    action: jax.Array
    feedback: jax.Array


class Delayed(Choosing):
    """Thompson sampling with late feedback; see `subject` for the settings."""

    aware: bool  # whether it knows of the delay

    def fresh(self, n: int) -> Carry:
        """No counts and no stored feedback."""
        return Carry(jnp.zeros((n, self.choices, 2)), jnp.full(n, -1, jnp.int32), jnp.zeros(n))

    def respond(self, key, carry: Carry, percept: Percept):
        """Counts the stored outcome, stores the last one, then samples an arm."""
        stored = carry.action >= 0
        arm = jnp.where(stored, carry.action if self.aware else percept.action, -1)
        late = percept._replace(action=arm, feedback=carry.feedback)
        counts = carry.counts + outcomes(late, self.choices)
        after = Carry(counts, percept.action, percept.feedback)
        return after, choose(key, jnp.log(probability_best(counts + 1.0)))


@keep_settings
def subject(family: Family, known: bool = True) -> Delayed:
    """Thompson sampling with feedback that arrives one trial late.

    Args:
        family: the bandit.
        known: whether the subject knows of the delay; False assigns each outcome to the arm that was pulled after it.
    """
    return Delayed(family.choices, bool(known))
