"""What part of its choices changes when only the carry is exchanged, for one response?"""

from __future__ import annotations

from mesascope.contracts.metric import Metric
from mesascope.questions.spectrum.changes import dependence

CHANGES = {
    "carry_exchanged_once:fresh=1": "a fresh carry",
    "carry_exchanged_once:fresh=0": "another lifetime's carry",
}


def metric() -> Metric:
    """What part of its choices changes when only the carry is exchanged, for one response?"""
    return dependence(
        "dependence_on_carry",
        "What part of its choices changes when only the carry is exchanged, for one response?",
        CHANGES,
    )
