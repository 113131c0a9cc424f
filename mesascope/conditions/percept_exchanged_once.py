"""Changes the last feedback or action for one response, on every trial in turn. The lifetime is undisturbed."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import Condition, Number, check_range, select


class PerceptExchangedOnce(Condition):
    """Replaces the last action (action=1), or exchanges the last outcome for the opposite one (action=0).

    Each family defines the opposite outcome; by default, it is 1 - feedback. If the observation also shows earlier
    events, such as the last cue, these are exchanged too, on every second trial.
    """

    action: Number

    one_step: ClassVar = True

    def explain_misfit(self, family):
        """The reason why the last action cannot be replaced if actions are real numbers, else None."""
        return "its actions are real numbers" if family.choices is None and self.action == 1 else None

    def apply(self, carry, percept, shadow, context):
        """Flips the feedback, or replaces the action with another one."""
        changed_percept = context.flip(percept)
        if context.choices is not None:
            shift = jax.random.randint(context.random(), percept.action.shape, 1, context.choices)
            other_action = jnp.mod(percept.action + shift, context.choices)
            changed_percept = select(self.action == 1, percept._replace(action=other_action), changed_percept)
        return carry, select(percept.first, percept, changed_percept), shadow


def condition(action: int = 0) -> PerceptExchangedOnce:
    """For one response, the last feedback is flipped, or the last action is replaced with another.

    Args:
        action: 1 to replace the action, 0 to flip the feedback.
    """
    check_range(0, 1, action=action)
    return PerceptExchangedOnce(action)
