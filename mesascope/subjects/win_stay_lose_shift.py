"""Repeats an act that paid and leaves one that did not: a reflex on the percept."""

from __future__ import annotations

from mesascope.families import Family, Percept
from mesascope.subjects import Scripted, choose
from mesascope.subjects._counts import keep, mixed, won
from mesascope.subjects._settings import named, within


class WinStayLoseShift(Scripted):
    """Nothing is carried: the last act and its feedback are in the percept."""

    name: str
    choices: int
    lapse: float

    def fresh(self, n: int) -> tuple[()]:
        """An empty carry."""
        return ()

    def respond(self, key, carry, percept: Percept):
        """Stays after a win; after a loss any other arm, evenly."""
        return carry, choose(key, mixed(keep(percept.action, self.choices, won(percept)), self.lapse))


def subject(family: Family, lapse: float = 0.0) -> WinStayLoseShift:
    """Repeats an act that paid and leaves one that did not.

    Args:
        family: the bandit.
        lapse: part of the choices that is even over all arms.
    """
    within(0, 1, lapse=lapse)
    return WinStayLoseShift(name=named(subject, lapse=lapse), choices=family.choices, lapse=lapse)
