"""From trial t on the carry stays what it was at t: nothing new is kept, a clock in the carry stops too."""

from __future__ import annotations

import jax

from mesascope.conditions import LAST, Condition, select, within


class CarryFrozen(Condition):
    """at: the trial from which the carry stays."""

    at: int | jax.Array

    @property
    def label(self) -> str:
        """'carry_frozen:at=t'."""
        return f"carry_frozen:at={self.at}"

    def apply(self, key, t, carry, percept, shadow, context):
        """The shadow holds the carry of trial t."""
        held = select(t == self.at, carry, shadow)
        return select(t >= self.at, held, carry), percept, held


def condition(at: int = 10) -> CarryFrozen:
    """From trial t on the carry stays what it was.

    Args:
        at: the trial t.
    """
    within(0, LAST, at=at)
    return CarryFrozen(at)
