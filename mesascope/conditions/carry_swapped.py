"""Replaces the carry with another lifetime's carry at trial t; the percept is unchanged, and the lifetime continues."""

from mesascope.contracts import LARGEST_TRIAL, Condition, Number, check_range, select, take_rows


class CarrySwapped(Condition):
    """Replaces the carry with another lifetime's carry at one trial."""

    trial: Number

    def apply(self, carry, percept, shadow, context):
        """Replaces the carry with the partner's carry at trial t."""
        return select(context.comes(self.trial), take_rows(carry, context.partner), carry), percept, shadow


def condition(trial: int = 50) -> CarrySwapped:
    """At trial t, the subject receives another lifetime's carry.

    Args:
        trial: the index t of the trial.
    """
    check_range(0, LARGEST_TRIAL, trial=trial)
    return CarrySwapped(trial)
