"""The condition that disturbs nothing."""

from mesascope.contracts.condition import Intact


def condition() -> Intact:
    """The lifetime runs undisturbed."""
    return Intact()
