"""Repeats its first answer to each cue, correct or not, and so follows a table that it made up itself."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.associations.association_subject import AssociationSubject, read_task_settings


class FirstAnswer(AssociationSubject):
    """Carries its first answer to each cue, one-hot [N, S, K]; zeros for cues that it has not answered."""

    def respond(self, key, carry, percept: Percept):
        """Stores its answer to the previous cue if that cue was new; ignores which action was correct."""
        new_cue = self.read_previous_cue(percept) * (carry.sum(-1) < 0.5)
        carry = carry + new_cue[..., None] * jax.nn.one_hot(percept.action, self.choices)[:, None]
        answer = self.select_row(carry, percept)
        probabilities = jnp.where(answer.sum(-1, keepdims=True) > 0.5, answer, 1.0 / self.choices)
        return carry, choose(key, compute_log_probs_with_lapses(probabilities, 0.0))


@keep_settings
def subject(family: Family) -> FirstAnswer:
    """Repeats the first answer that it gave to each cue, and ignores all outcomes.

    Args:
        family: association tasks.
    """
    return FirstAnswer(*read_task_settings(family))
