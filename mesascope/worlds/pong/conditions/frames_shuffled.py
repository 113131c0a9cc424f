"""Shows the subject an observation from one to sixteen steps ago, drawn at random for every response."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import READABLE_PERCEPTS, Condition, ShowsFrames, check_range


class FramesShuffled(Condition):
    """Shows an earlier observation, for single responses, one at each step (is_single=1), or always (is_single=0)."""

    is_single: int | jax.Array

    looks_back: ClassVar = True

    @property
    def is_one_step(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the condition disturbs single responses, while the lifetime itself continues undisturbed."""
        return self.is_single == 1

    def explain_mismatch(self, family):
        """Returns why the condition does not apply to a family without pictures; None for a family with pictures."""
        return None if isinstance(family, ShowsFrames) else "its tasks show no pictures"

    def apply(self, carry, percept, second_carry, context):
        """Replaces the observation with that of an earlier step in the same lifetime."""
        age = jax.random.randint(context.draw_key(), (), 1, READABLE_PERCEPTS)
        past = context.get_past_percept(jnp.minimum(age, context.trial * context.steps + context.step))
        return carry, percept._replace(observation=past.observation), second_carry


def condition(is_single: int = 1) -> FramesShuffled:
    """Shows the subject an observation from one to sixteen steps ago, drawn at random for every response.

    Near the start of a lifetime, the observation is from fewer steps ago; at the first step, it is the present one.

    Args:
        is_single: 1 for single responses, one at each step of an undisturbed lifetime; 0 for the whole lifetime.
    """
    check_range(0, 1, is_single=is_single)
    return FramesShuffled(is_single)
