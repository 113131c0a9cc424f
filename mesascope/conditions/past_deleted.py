"""At every response the subject knows its last w percepts alone, and its lifetime goes on so."""

from mesascope.conditions.replaced_past import DeletedPast
from mesascope.contracts.condition import RECENT
from mesascope.contracts.settings import check_range


def condition(of: int = 4, birth: int = 1) -> DeletedPast:
    """At every response the subject knows its last w percepts alone, and its lifetime goes on so.

    Args:
        of: w, the present percept among them, from 1 to 8.
        birth: 1 to show the percept before them as at a start of life, 0 to leave it out.
    """
    check_range(1, RECENT - 1, of=of)
    check_range(0, 1, birth=birth)
    return DeletedPast(of, birth, 0, 0)
