"""Deletes everything before the last w percepts from the past, throughout the lifetime."""

from mesascope.conditions.replaced_past import ReplacedPast


def condition(of: int = 4, birth: int = 1) -> ReplacedPast:
    """Throughout its lifetime the subject knows only its last w percepts.

    Args:
        of: w, from 1 to 16, including the present percept.
        birth: 1 to show the percept before these w as the first one of a lifetime, 0 to leave it out.
    """
    return ReplacedPast(of, birth, 0, 0, whole_life=1)
