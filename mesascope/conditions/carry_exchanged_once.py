"""For one response, at every trial in turn, the carry is replaced; the lifetime continues undisturbed."""

from typing import ClassVar

from mesascope.contracts.condition import Condition, Number, select, take
from mesascope.contracts.settings import check_range


class CarryExchangedOnce(Condition):
    """fresh: 1 for the carry at birth, 0 for another lifetime's at the same trial."""

    fresh: Number

    one_step: ClassVar = True

    def apply(self, carry, percept, shadow, context):
        """Replaces the carry by the fresh one or the partner's."""
        return select(self.fresh == 1, context.fresh, take(carry, context.partner)), percept, shadow


def condition(fresh: int = 0) -> CarryExchangedOnce:
    """For one response the carry is another lifetime's, or fresh.

    Args:
        fresh: 1 for the carry at birth, 0 for another lifetime's.
    """
    check_range(0, 1, fresh=fresh)
    return CarryExchangedOnce(fresh)
