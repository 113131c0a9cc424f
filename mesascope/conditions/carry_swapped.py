"""Replaces the carry with another lifetime's carry at trial t; the percept is unchanged, and the lifetime continues."""

from mesascope.contracts import MAX_TRIAL_INDEX, Condition, Number, check_range, select, take_rows


class CarrySwapped(Condition):
    """Replaces the carry with another lifetime's carry at one trial."""

    trial: Number

    def apply(self, carry, percept, second_carry, context):
        """Replaces the carry with the partner's carry at trial t."""
        return (
            select(context.is_start_of_trial(self.trial), take_rows(carry, context.partners), carry),
            percept,
            second_carry,
        )


def condition(trial: int = 50) -> CarrySwapped:
    """At trial t, the subject receives another lifetime's carry.

    Args:
        trial: the index t of the trial.
    """
    check_range(0, MAX_TRIAL_INDEX, trial=trial)
    return CarrySwapped(trial)
