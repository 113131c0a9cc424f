"""Hides the trial index or the feedback by setting it to 0; a subject may interpret hidden feedback as a loss."""

import jax.numpy as jnp

from mesascope.contracts import Condition, Number, check_range, select


class PerceptMasked(Condition):
    """Hides the trial index (trial=1) or the feedback (trial=0)."""

    trial: Number

    def apply(self, carry, percept, second_carry, context):
        """Sets the trial index or the feedback in the percept to 0."""
        without_trial = percept._replace(trial=jnp.zeros_like(percept.trial))
        without_feedback = percept._replace(feedback=jnp.zeros_like(percept.feedback))
        return carry, select(self.trial == 1, without_trial, without_feedback), second_carry


def condition(trial: int = 0) -> PerceptMasked:
    """The feedback or the trial index is hidden.

    Args:
        trial: 1 to hide the trial index, 0 to hide the feedback.
    """
    check_range(0, 1, trial=trial)
    return PerceptMasked(trial)
