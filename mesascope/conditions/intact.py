"""The condition that disturbs nothing."""

from mesascope.contracts.condition import Intact


def condition() -> Intact:
    """Nothing is disturbed."""
    return Intact()
