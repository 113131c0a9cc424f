"""Restores the carry of trial t before every later trial; a trial counter in the carry, for example, then stops.

If trials have several steps, every later trial begins with the carry of trial t. Within such a trial, the carry changes
as usual.
"""

from mesascope.contracts import MAX_TRIAL_INDEX, Condition, Number, check_range, select


class CarryFrozen(Condition):
    """Restores the carry of one trial before every later trial."""

    trial: Number

    def apply(self, carry, percept, second_carry, context):
        """Stores the carry of trial t in the second carry, and restores that carry before every later trial."""
        stored_carry = select(context.is_start_of_trial(self.trial), carry, second_carry)
        is_restored = (context.trial >= self.trial) & context.is_trial_start
        return select(is_restored, stored_carry, carry), percept, stored_carry


def condition(trial: int = 10) -> CarryFrozen:
    """From trial t on, the carry stays as it was at the start of trial t.

    Args:
        trial: the index t of the trial.
    """
    check_range(0, MAX_TRIAL_INDEX, trial=trial)
    return CarryFrozen(trial)
