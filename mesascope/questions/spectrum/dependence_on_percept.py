"""What part of its choices changes when only the last percept is exchanged, for one response?"""

from __future__ import annotations

from mesascope.contracts.metric import Metric
from mesascope.questions.spectrum.changes import dependence

CHANGES = {
    "percept_exchanged_once:action=0": "feedback flipped",
    "percept_exchanged_once:action=1": "last action exchanged",
}


def metric() -> Metric:
    """What part of its choices changes when only the last percept is exchanged, for one response?"""
    return dependence(
        "dependence_on_percept",
        "What part of its choices changes when only the last percept is exchanged, for one response?",
        CHANGES,
    )
