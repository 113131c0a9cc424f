"""The condition that disturbs nothing."""

from mesascope.contracts import Intact


def condition() -> Intact:
    """The lifetime runs undisturbed."""
    return Intact()
