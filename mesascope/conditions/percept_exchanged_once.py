"""Changes the last feedback or action for one response, at every step in turn; the lifetime continues undisturbed."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import Condition, Number, check_range, select


class PerceptExchangedOnce(Condition):
    """Replaces the last action (action=1), or replaces the last outcome with the opposite outcome (action=0).

    Each family defines the opposite outcome; by default, it is 1 - feedback. If the observation also shows earlier
    events, such as the last cue, these events are also exchanged, on every second trial.
    """

    action: Number

    is_one_step: ClassVar = True

    def explain_mismatch(self, family):
        """Explains in a clause why the last action cannot be replaced; returns None if the condition fits."""
        return "its actions are real numbers" if family.choices is None and self.action == 1 else None

    def apply(self, carry, percept, second_carry, context):
        """Replaces the last outcome with the opposite outcome, or the last action with another action."""
        changed_percept = context.flip_outcome(percept)
        if context.choices is not None:
            shift = jax.random.randint(context.draw_key(), percept.action.shape, 1, context.choices)
            other_action = jnp.mod(percept.action + shift, context.choices)
            changed_percept = select(self.action == 1, percept._replace(action=other_action), changed_percept)
        return carry, select(percept.first, percept, changed_percept), second_carry


def condition(action: int = 0) -> PerceptExchangedOnce:
    """For one response, the last feedback is replaced with the opposite, or the last action with another action.

    Args:
        action: 1 to replace the action, 0 to replace the feedback.
    """
    check_range(0, 1, action=action)
    return PerceptExchangedOnce(action)
