"""Chooses at random until a late trial, then always the action that is best a priori; ignores feedback."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.any.subjects.clock import Clock, find_favourite


@keep_settings(start=(0, 1_000_000))
def subject(family: Family, start: int = 50) -> Clock:
    """Chooses at random until a late trial, then always the action that is best a priori.

    Args:
        family: any family with discrete actions. If no action is best a priori, the subject takes the first one.
        start: the first trial that is not random.
    """
    return Clock(family.choices, find_favourite(family), start=start - 1, trials=1)
