"""Lets the subject respond several times to one observation and counts the last response: time to think, no new facts.

Only the first tick's percept contains the last action and outcome. Optionally, the first ticks show another lifetime's
observation (so the problem changes while the subject thinks), or the last tick uses another lifetime's carry (so the
subject's thoughts are scrambled).
"""

import jax.numpy as jnp
import numpy as np

from mesascope.contracts.capabilities import ShowsPlans
from mesascope.contracts.condition import Condition, Number, select, take
from mesascope.contracts.family import Family
from mesascope.contracts.settings import check_range
from mesascope.keys import address

TRIED = "tree_choice:depth=2,trials=12,bank=3"
MOST = 128


class Thinking(Condition):
    """Gives the subject several ticks for one observation; see `condition` for the settings."""

    ticks: Number
    elsewhere: Number
    scrambled: Number

    @property
    def label(self) -> str:
        """The label 'thinking:ticks=n', followed by the other settings that are not 0."""
        more = {"elsewhere": self.elsewhere, "scrambled": self.scrambled}
        return ",".join([f"thinking:ticks={self.ticks}", *(f"{k}={v}" for k, v in more.items() if v)])

    @property
    def asks(self) -> int:
        """The number of responses, one per tick."""
        return int(self.ticks)

    def unfit(self, family: Family) -> str | None:
        """The condition makes sense only if the family can say what could be planned."""
        plain = "its tasks do not say what can be planned"
        return None if isinstance(family, ShowsPlans) else plain

    def apply(self, carry, percept, shadow, context):
        """Runs all ticks except the last one."""
        theirs = take(percept.observation, context.partner)

        def tick(i, c):
            seen = percept._replace(observation=select(i < self.elsewhere, theirs, percept.observation))
            return context.absorb(address(context.random(), i), c, select(i == 0, seen, _silence(seen)))

        thought = context.repeat(0, self.ticks - 1, tick, carry)
        thought = select(self.scrambled == 1, take(thought, context.partner), thought)
        return thought, select(self.ticks > 1, _silence(percept), percept), shadow


def _silence(percept):
    """The percept with the same observation, but without the last action and outcome."""
    xp = np if isinstance(percept.feedback, np.ndarray) else jnp
    none = xp.full_like(percept.action, -1 if percept.action.dtype.kind == "i" else 0)
    still = xp.zeros_like(percept.first)
    return percept._replace(action=none, feedback=xp.zeros_like(percept.feedback), first=still)


def condition(ticks: int = 8, elsewhere: int = 0, scrambled: int = 0) -> Thinking:
    """The subject has several ticks for every observation, and its last response counts.

    Args:
        ticks: the number of responses to one observation, including the last one; at most 128.
        elsewhere: the number of first ticks that show another lifetime's observation.
        scrambled: 1 if the last tick uses another lifetime's carry, otherwise 0.
    """
    check_range(1, MOST, ticks=ticks)
    check_range(0, ticks - 1, elsewhere=elsewhere)
    check_range(0, 1, scrambled=scrambled)
    return Thinking(ticks, elsewhere, scrambled)
