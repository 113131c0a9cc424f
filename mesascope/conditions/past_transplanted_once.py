"""Replaces the past before the last w percepts with a donor's past, for one response on every trial in turn."""

from mesascope.conditions.replaced_past import ReplacedPast


def condition(window: int = 4, replicate: int = 0) -> ReplacedPast:
    """For one response, the past before the last w percepts comes from another lifetime of the same subject.

    Args:
        window: w, the number of last percepts, including the present one, or of past trials if trials have several
            steps; from 1 to 16.
        replicate: the number of the draw of donors (the other lifetimes), counted from 0.
    """
    return ReplacedPast(window, 0, 1, replicate)
