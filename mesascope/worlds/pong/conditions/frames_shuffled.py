"""What is shown is what was shown one to eight steps before, drawn anew for every response."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts.capabilities import ShowsFrames
from mesascope.contracts.condition import RECENT, Condition
from mesascope.contracts.settings import check_range

TRIED = "pong:rallies=2,steps=3"


class FramesShuffled(Condition):
    """once: 1 for one response at every step in turn, 0 for the whole life."""

    once: int | jax.Array

    looks_back: ClassVar = True

    @property
    def one_step(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the life goes on undisturbed."""
        return self.once == 1

    def unfit(self, family):
        """No pictures are shown."""
        return None if isinstance(family, ShowsFrames) else "its tasks show no pictures"

    def apply(self, carry, percept, shadow, context):
        """The observation of an earlier step; the first one before there are eight."""
        drawn = jax.random.randint(context.random(), (), 1, RECENT)
        past = context.past(jnp.minimum(drawn, context.trial * context.steps + context.step))
        return carry, percept._replace(observation=past.observation), shadow


def condition(once: int = 1) -> FramesShuffled:
    """What is shown is what was shown one to eight steps before.

    Args:
        once: 1 for one response at every step in turn, while the life goes on undisturbed; 0 for the whole life.
    """
    check_range(0, 1, once=once)
    return FramesShuffled(once)
