"""Thompson sampling with feedback that arrives one trial late; the subject may or may not know of the delay.

The subject stores the last feedback and learns from that of the trial before. If it knows of the delay, it assigns this
earlier feedback to the arm that earned it, and otherwise to the arm that it pulled next.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, count_last_outcome, keep_settings
from mesascope.worlds.bandits.subjects.thompson import compute_best_probability


class DelayedThompson(ChoosingSubject):
    """Carries counts [N, K, 2], and the action [N] (-1 for none) and the feedback [N] that it stores for one trial."""

    is_aware: bool  # whether the subject knows of the delay

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns counts of 0, a stored action of -1, and a stored feedback of 0."""
        return (jnp.zeros((n, self.choices, 2)), jnp.full(n, -1, jnp.int32), jnp.zeros(n))

    def respond(self, key, carry, percept: Percept):
        """Counts the stored outcome, stores the last one, then samples an arm."""
        counts, stored_action, stored_feedback = carry
        arm = jnp.where(stored_action >= 0, stored_action if self.is_aware else percept.action, -1)
        counts = counts + count_last_outcome(percept._replace(action=arm, feedback=stored_feedback), self.choices)
        return (counts, percept.action, percept.feedback), choose(key, jnp.log(compute_best_probability(counts + 1.0)))


@keep_settings
def subject(family: Family, is_aware: bool = True) -> DelayedThompson:
    """Thompson sampling with feedback that arrives one trial late.

    Args:
        family: the bandit.
        is_aware: whether the subject knows of the delay; False assigns each outcome to the arm that was pulled after
            it.
    """
    return DelayedThompson(family.choices, bool(is_aware))
