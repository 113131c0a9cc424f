"""The carry is reset to fresh: once, with the start-of-life percept, or before every trial, with the percept unchanged.

A single reset with an unchanged percept would leak the last outcome. A reset before every trial leaves the reflex on
the last percept.
"""

from mesascope.contracts.condition import LAST, Condition, Number, select
from mesascope.contracts.settings import check_range


class CarryReset(Condition):
    """at: the trial of the one reset; -1 for a reset before every trial."""

    at: Number

    @property
    def label(self) -> str:
        """'carry_reset' for every trial, 'carry_reset:at=t' for once."""
        return "carry_reset" if self.at == -1 else f"carry_reset:at={self.at}"

    def apply(self, carry, percept, shadow, context):
        """Resets the carry; at trial t also the percept."""
        every = self.at == -1
        once = context.comes(self.at)
        anew = every | once if context.steps == 1 else (every & context.begins) | once
        return select(anew, context.fresh, carry), select(once, context.as_first(percept), percept), shadow


def condition(at: int = -1) -> CarryReset:
    """The carry is reset before every trial, or once; then the subject also gets a lifetime's first percept.

    Args:
        at: the trial of the one reset, from 1; -1 for every trial.
    """
    check_range(-1, LAST, at=at)
    return CarryReset(at)
