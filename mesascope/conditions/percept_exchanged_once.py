"""For one response, at every trial in turn, the last feedback or action is changed; the lifetime is undisturbed."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts.condition import Condition, Number, select
from mesascope.contracts.settings import check_range


class PerceptExchangedOnce(Condition):
    """action: 1 to exchange the last action, 0 to flip the last feedback (within 0 and 1)."""

    action: Number

    one_step: ClassVar = True

    def unfit(self, family):
        """The action can only be exchanged if actions are choices."""
        return "its actions are real numbers" if family.choices is None and self.action == 1 else None

    def apply(self, carry, percept, shadow, context):
        """Flips the feedback, or replaces the action by another one."""
        if context.choices is None:
            return carry, select(percept.first, percept, context.flip(percept)), shadow
        shift = jax.random.randint(context.random(), percept.action.shape, 1, context.choices)
        other = jnp.mod(percept.action + shift, context.choices)
        changed = select(self.action == 1, percept._replace(action=other), context.flip(percept))
        return carry, select(percept.first, percept, changed), shadow


def condition(action: int = 0) -> PerceptExchangedOnce:
    """For one response the last feedback is flipped, or the last action is replaced by another.

    Args:
        action: 1 to exchange the action, 0 to flip the feedback.
    """
    check_range(0, 1, action=action)
    return PerceptExchangedOnce(action)
