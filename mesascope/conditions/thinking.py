"""The subject responds several times at one observation, and the last response counts: time to think, and no news.

The first tick takes in what the percept tells of the last outcome; at the further ones no act and no outcome is told.
A problem that another lifetime has may stand there for the first ticks (it changes in mid-thought), and the carry may
be another lifetime's for the last one (the thoughts are scrambled).
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
    """ticks: responses at one observation; elsewhere: of them the first at a partner's; scrambled: 1 or 0."""

    ticks: Number
    elsewhere: Number
    scrambled: Number

    @property
    def label(self) -> str:
        """'thinking:ticks=n', with what is not usual behind it."""
        more = {"elsewhere": self.elsewhere, "scrambled": self.scrambled}
        return ",".join([f"thinking:ticks={self.ticks}", *(f"{k}={v}" for k, v in more.items() if v)])

    @property
    def asks(self) -> int:
        """One at each tick."""
        return int(self.ticks)

    def unfit(self, family: Family) -> str | None:
        """Where nothing is to be thought out."""
        plain = "its tasks say of no act that it can be thought out"
        return None if isinstance(family, ShowsPlans) else plain

    def apply(self, carry, percept, shadow, context):
        """All ticks but the last one."""
        theirs = take(percept.observation, context.partner)

        def tick(i, c):
            seen = percept._replace(observation=select(i < self.elsewhere, theirs, percept.observation))
            return context.absorb(address(context.random(), i), c, select(i == 0, seen, _silence(seen)))

        thought = context.repeat(0, self.ticks - 1, tick, carry)
        thought = select(self.scrambled == 1, take(thought, context.partner), thought)
        return thought, select(self.ticks > 1, _silence(percept), percept), shadow


def _silence(percept):
    """The same observation, and no word of an act or an outcome."""
    xp = np if isinstance(percept.feedback, np.ndarray) else jnp
    none = xp.full_like(percept.action, -1 if percept.action.dtype.kind == "i" else 0)
    still = xp.zeros_like(percept.first)
    return percept._replace(action=none, feedback=xp.zeros_like(percept.feedback), first=still)


def condition(ticks: int = 8, elsewhere: int = 0, scrambled: int = 0) -> Thinking:
    """The subject has several ticks at every observation, and its last response counts.

    Args:
        ticks: responses at one observation, the last one included, at most 128.
        elsewhere: how many of them, from the first, are spent at another lifetime's observation.
        scrambled: 1 where the last one has another lifetime's carry.
    """
    check_range(1, MOST, ticks=ticks)
    check_range(0, ticks - 1, elsewhere=elsewhere)
    check_range(0, 1, scrambled=scrambled)
    return Thinking(ticks, elsewhere, scrambled)
