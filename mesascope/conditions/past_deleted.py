"""Deletes everything before the last w percepts from the past, throughout the lifetime."""

from mesascope.conditions.replaced_past import DeletedPast
from mesascope.contracts.condition import RECENT
from mesascope.contracts.settings import check_range


def condition(of: int = 4, birth: int = 1) -> DeletedPast:
    """Throughout its lifetime the subject knows only its last w percepts.

    Args:
        of: w, from 1 to 16, including the present percept.
        birth: 1 to show the percept before these w as the first one of a lifetime, 0 to leave it out.
    """
    check_range(1, RECENT - 1, of=of)
    check_range(0, 1, birth=birth)
    return DeletedPast(of, birth, 0, 0)
