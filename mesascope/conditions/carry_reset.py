"""The carry is fresh again: once, with the start-of-life percept, or before every trial, the percept kept.

Once, with the percept kept, would leak; every trial measures the reflex on the last percept and does not abolish
everything.
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
        """A fresh carry, at t with the start-of-life percept."""
        every = self.at == -1
        once = context.comes(self.at)
        anew = every | once if context.steps == 1 else (every & context.begins) | once
        return select(anew, context.fresh, carry), select(once, context.as_first(percept), percept), shadow


def condition(at: int = -1) -> CarryReset:
    """The carry is fresh again, once or before every trial.

    Args:
        at: the trial of the one reset, from 1; -1 for every trial.
    """
    check_range(-1, LAST, at=at)
    return CarryReset(at)
