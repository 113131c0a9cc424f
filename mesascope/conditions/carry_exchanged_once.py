"""Replaces the carry for one response, at every step in turn, while the lifetime continues undisturbed."""

from typing import ClassVar

from mesascope.contracts import Condition, Number, check_range, select, take_rows


class CarryReplacedOnce(Condition):
    """Replaces the carry for one response with a fresh carry (fresh=1), or with another lifetime's carry (fresh=0).

    The other lifetime's carry is from the same step.
    """

    fresh: Number

    is_one_step: ClassVar = True

    def apply(self, carry, percept, second_carry, context):
        """Replaces the carry with a fresh carry or with the partner's carry."""
        return select(self.fresh == 1, context.fresh_carry, take_rows(carry, context.partners)), percept, second_carry


def condition(fresh: int = 0) -> CarryReplacedOnce:
    """For one response, the subject has another lifetime's carry, or a fresh carry.

    Args:
        fresh: 1 for a fresh carry, 0 for another lifetime's carry.
    """
    check_range(0, 1, fresh=fresh)
    return CarryReplacedOnce(fresh)
