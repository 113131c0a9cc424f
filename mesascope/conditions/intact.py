"""Nothing is disturbed."""

from __future__ import annotations

from mesascope.contracts.condition import Intact


def condition() -> Intact:
    """Nothing is disturbed."""
    return Intact()
