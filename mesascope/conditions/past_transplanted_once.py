"""Replaces the past before the last w percepts with that of another lifetime of the same subject, for one response."""

from mesascope.conditions.replaced_past import ReplacedPast


def condition(window: int = 4, replicate: int = 0) -> ReplacedPast:
    """For one response, the past before the last w percepts is that of another lifetime of the same subject.

    Args:
        window: w, from 1 to 16, including the present percept.
        replicate: the number of the draw of other lifetimes.
    """
    return ReplacedPast(window, 0, 1, replicate)
