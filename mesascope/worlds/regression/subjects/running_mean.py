"""Predicts the mean of the outcomes that it saw, whatever the input."""

from __future__ import annotations

from mesascope.contracts.family import Family
from mesascope.worlds.regression.regression import TRIED as TRIED
from mesascope.worlds.regression.regression import Filtered, filtered


def subject(family: Family) -> Filtered:
    """Predicts the mean of the outcomes that it saw.

    Args:
        family: in-context regression.
    """
    return filtered("running_mean", family, weight=0.0, level=1.0)
