"""What share of what could be gained over chance does it gain, on every split?"""

from __future__ import annotations

from mesascope.contracts.metric import Metric, Reading, gains
from mesascope.stats import ratio


def metric() -> Metric:
    """What share of what could be gained over chance does it gain in the trials that count?"""

    def measure(trials, references, replay):
        return [
            Reading(ratio(*gains(lived, "intact")), split=split)
            for split, lived in trials.items()
            if "chance" in lived and (lived.best > lived.chance).any()
        ]

    return Metric(
        name="performance",
        question="What share of the pay-off between chance (0) and the best act (1) does it gain?",
        measure=measure,
        splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon", "inverted"),
        expects={"learner": "any", "lookalike": "any", "still": "any"},
    )
