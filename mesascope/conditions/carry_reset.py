"""Resets the carry, either once (together with the percept) or before every trial (with the percept unchanged).

A single reset also replaces the percept, because otherwise the subject would still observe the last outcome. With a
reset before every trial, a subject can still react to the last percept.
"""

from mesascope.contracts import MAX_TRIAL_INDEX, Condition, Number, check_range, select


class CarryReset(Condition):
    """Resets the carry at one trial, or before every trial if `trial` is -1."""

    trial: Number

    @property
    def label(self) -> str:
        """The label: 'carry_reset' for a reset before every trial, 'carry_reset:trial=t' for a single reset."""
        return "carry_reset" if self.trial == -1 else f"carry_reset:trial={self.trial}"

    def apply(self, carry, percept, second_carry, context):
        """Resets the carry; a single reset also marks the percept as first."""
        is_single_reset = context.is_start_of_trial(self.trial)
        is_reset = is_single_reset | ((self.trial == -1) & context.is_trial_start)
        new_percept = select(is_single_reset, context.mark_as_first(percept), percept)
        return select(is_reset, context.fresh_carry, carry), new_percept, second_carry


def condition(trial: int = -1) -> CarryReset:
    """The carry is reset before every trial, or only once, together with the percept.

    Args:
        trial: the index of the trial of a single reset, which has no effect at trial 0; -1 for a reset before every
            trial.
    """
    check_range(-1, MAX_TRIAL_INDEX, trial=trial)
    return CarryReset(trial)
