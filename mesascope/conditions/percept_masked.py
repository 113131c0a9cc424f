"""Sets one part of the percept to 0: the trial index, or the feedback (descriptive only: 0 looks like a loss)."""

import jax.numpy as jnp

from mesascope.contracts.condition import Condition, Number, select
from mesascope.contracts.settings import check_range


class PerceptMasked(Condition):
    """Hides the trial index (trial=1) or the feedback (trial=0)."""

    trial: Number

    def apply(self, carry, percept, shadow, context):
        """Sets the hidden part to 0."""
        masked = percept._replace(
            feedback=select(self.trial == 1, percept.feedback, jnp.zeros_like(percept.feedback)),
            trial=select(self.trial == 1, jnp.zeros_like(percept.trial), percept.trial),
        )
        return carry, masked, shadow


def condition(trial: int = 0) -> PerceptMasked:
    """The feedback or the trial index is hidden.

    Args:
        trial: 1 to hide the trial index, 0 to hide the feedback.
    """
    check_range(0, 1, trial=trial)
    return PerceptMasked(trial)
