"""Chooses at random on the first trials, then always takes the action that is best a priori; ignores feedback."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.any.subjects.clock import ClockSubject, find_favourite_action


@keep_settings(start=(0, 1_000_000))
def subject(family: Family, start: int = 50) -> ClockSubject:
    """Chooses at random on the first trials, then always takes the action that is best a priori.

    Args:
        family: any family with discrete actions. If no action is best a priori, the subject takes the first one.
        start: the number of trials in which the subject chooses at random; if trials have several steps, this is a
            number of steps.
    """
    return ClockSubject(family.choices, find_favourite_action(family), start=start - 1, ramp_trials=1)
