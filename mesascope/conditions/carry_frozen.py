"""From trial t on the carry stays what it was at t: nothing new is kept, a clock in the carry stops too.

Where a trial has several steps, each begins with the carry of trial t, which lives on until the trial is over.
"""

from mesascope.contracts.condition import LAST, Condition, Number, select
from mesascope.contracts.settings import check_range


class CarryFrozen(Condition):
    """at: the trial from which the carry stays."""

    at: Number

    def apply(self, carry, percept, shadow, context):
        """The shadow holds the carry of trial t."""
        stored = select(context.comes(self.at), carry, shadow)
        late = context.trial >= self.at
        return select(late if context.steps == 1 else late & context.begins, stored, carry), percept, stored


def condition(at: int = 10) -> CarryFrozen:
    """From trial t on the carry stays what it was.

    Args:
        at: the trial t.
    """
    check_range(0, LAST, at=at)
    return CarryFrozen(at)
