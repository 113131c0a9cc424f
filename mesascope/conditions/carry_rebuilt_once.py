"""Rebuilds the carry from a fresh carry and the last percepts alone, at every step for the response of this step only.

A change in the response shows that the subject used something older than these percepts.
"""

from typing import ClassVar

import jax.numpy as jnp

from mesascope.contracts import READABLE_PERCEPTS, Condition, Number, check_range


class CarryRebuiltOnce(Condition):
    """Rebuilds the carry from the `window` percepts before the present one; if `window` is 0, the carry is fresh."""

    window: Number

    is_one_step: ClassVar = True
    looks_back: ClassVar = True

    def apply(self, carry, percept, second_carry, context):
        """Replays the last percepts from a fresh carry."""
        count = jnp.minimum(self.window, context.trial * context.steps + context.step)

        def replay_step(i, rebuilt_carry):
            steps_back = count - i
            return context.respond_in_past(steps_back, rebuilt_carry, context.get_past_percept(steps_back))

        return context.repeat(0, count, replay_step, context.fresh_carry), percept, second_carry


def condition(window: int = 4) -> CarryRebuiltOnce:
    """For one response, the carry is rebuilt from a fresh carry and the last percepts alone.

    Args:
        window: the number of percepts before the present one from which the carry is rebuilt, from 0 to 16.
    """
    check_range(0, READABLE_PERCEPTS - 1, window=window)
    return CarryRebuiltOnce(window)
