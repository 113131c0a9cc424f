"""Deletes all of the past except the last w percepts, before every trial of a lifetime."""

from mesascope.conditions.replaced_past import ReplacedPast


def condition(window: int = 4, birth: int = 1) -> ReplacedPast:
    """Throughout a lifetime, the subject knows only its last w percepts.

    Args:
        window: w, the number of last percepts, including the present one, or of past trials if trials have several
            steps; from 1 to 16.
        birth: 1 if the subject also observes the percept before its last w percepts, marked as first and without its
            outcome; 0 if not (`ReplacedPast` says what differs if trials have several steps).
    """
    return ReplacedPast(window, birth, 0, 0, whole_lifetime_flag=1)
