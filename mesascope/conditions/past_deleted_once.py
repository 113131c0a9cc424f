"""Deletes everything before the last w percepts from the past, for one response."""

from mesascope.conditions.replaced_past import ReplacedPast


def condition(window: int = 4, birth: int = 1) -> ReplacedPast:
    """For one response, the subject knows only its last w percepts.

    Args:
        window: w, from 1 to 16, including the present percept.
        birth: 1 to show the percept before these w, marked as first and without its outcome; 0 to leave that percept
            out.
    """
    return ReplacedPast(window, birth, 0, 0)
