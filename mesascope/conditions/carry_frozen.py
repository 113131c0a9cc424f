"""Keeps the carry of trial t from then on. Nothing new is stored, and a clock in the carry stops.

If trials have several steps, every later trial begins with the carry of trial t, which then changes until the trial is
over.
"""

from mesascope.contracts import LARGEST_TRIAL, Condition, Number, check_range, select


class CarryFrozen(Condition):
    """Keeps the carry of one trial from then on."""

    trial: Number

    def apply(self, carry, percept, shadow, context):
        """Stores the carry of trial t in the shadow carry, and restores that carry before every later trial."""
        stored_carry = select(context.comes(self.trial), carry, shadow)
        is_restored = (context.trial >= self.trial) & context.begins
        return select(is_restored, stored_carry, carry), percept, stored_carry


def condition(trial: int = 10) -> CarryFrozen:
    """From trial t on, the carry stays as it was at the start of that trial.

    Args:
        trial: the trial t.
    """
    check_range(0, LARGEST_TRIAL, trial=trial)
    return CarryFrozen(trial)
