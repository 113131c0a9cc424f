"""From trial t on the last action is not told."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mesascope.contracts import Condition, select


class ActionHidden(Condition):
    """at: the first trial of which it is hidden."""

    at: int | jax.Array

    @property
    def label(self) -> str:
        """'action_hidden:at=t'."""
        return f"action_hidden:at={self.at}"

    def apply(self, carry, percept, second_carry, context):
        """A -1 in its place."""
        hidden = percept._replace(action=jnp.full_like(percept.action, -1))
        return carry, select(context.trial >= self.at, hidden, percept), second_carry


def condition(at: int = 0) -> ActionHidden:
    """From trial t on the last action is not told.

    Args:
        at: the trial t.
    """
    return ActionHidden(at)
