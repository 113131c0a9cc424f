"""At trial t the carry is replaced by another lifetime's; the percept is unchanged, and the lifetime goes on."""

from mesascope.contracts.condition import LAST, Condition, Number, select, take
from mesascope.contracts.settings import check_range


class CarrySwapped(Condition):
    """at: the trial of the swap."""

    at: Number

    def apply(self, carry, percept, shadow, context):
        """Takes the partner's carry at trial t."""
        return select(context.comes(self.at), take(carry, context.partner), carry), percept, shadow


def condition(at: int = 50) -> CarrySwapped:
    """At trial t the carry is replaced by another lifetime's.

    Args:
        at: the trial t.
    """
    check_range(0, LAST, at=at)
    return CarrySwapped(at)
