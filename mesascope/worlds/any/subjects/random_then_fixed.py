"""Chooses at random until late, then the arm that is best a priori for good, never looking at feedback."""

from __future__ import annotations

from mesascope.contracts.capabilities import HasFavourite
from mesascope.contracts.family import Family
from mesascope.contracts.settings import named, within
from mesascope.worlds.any.subjects.clock import Clock


def subject(family: Family, start: int = 50) -> Clock:
    """Chooses at random until late, then for good the arm that is best a priori.

    Args:
        family: the bandit, with unequal priors; on equal ones the first arm is as good as any.
        start: the first trial that is not random.
    """
    within(0, 1_000_000, start=start)
    return Clock(
        name=named(subject, start=start),
        choices=family.choices,
        favourite=family.favourite if isinstance(family, HasFavourite) else 0,
        start=start - 1,
        trials=1,
    )
