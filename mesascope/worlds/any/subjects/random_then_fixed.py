"""Chooses at random until late, then the arm that is best a priori for good, never looking at feedback."""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.any.subjects.clock import Clock, favourite


@keep_settings(start=(0, 1_000_000))
def subject(family: Family, start: int = 50) -> Clock:
    """Chooses at random until late, then for good the arm that is best a priori.

    Args:
        family: the bandit, with unequal priors; on equal ones the first arm is as good as any.
        start: the first trial that is not random.
    """
    return Clock(family.choices, favourite(family), start=start - 1, trials=1)
