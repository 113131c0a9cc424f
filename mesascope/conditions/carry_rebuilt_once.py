"""Rebuilds the carry for one response, at every step in turn, from a fresh carry and the last percepts alone.

The effect on the response measures what the subject carried for longer.
"""

from typing import ClassVar

import jax.numpy as jnp

from mesascope.contracts.condition import RECENT, Condition, Number
from mesascope.contracts.settings import check_range


class CarryRebuiltOnce(Condition):
    """Rebuilds the carry from the last `of` percepts before the present one; with of=0 it is fresh."""

    of: Number

    one_step: ClassVar = True
    looks_back: ClassVar = True

    def apply(self, carry, percept, shadow, context):
        """Replays the last percepts from a fresh carry."""
        count = jnp.minimum(self.of, context.trial * context.steps + context.step)

        def again(i, rebuilt):
            back = count - i
            return context.live(back, rebuilt, context.past(back))

        return context.repeat(0, count, again, context.fresh), percept, shadow


def condition(of: int = 4) -> CarryRebuiltOnce:
    """For one response the carry is rebuilt from a fresh one and the last percepts alone.

    Args:
        of: the number of percepts before the present one that it is rebuilt from, 0 to 16.
    """
    check_range(0, RECENT - 1, of=of)
    return CarryRebuiltOnce(of)
