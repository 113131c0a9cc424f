"""What share of what could be gained over chance does it gain, on every ring?"""

from __future__ import annotations

from mesascope.contracts.metric import Probe, Reading, gains
from mesascope.stats import ratio


def probe() -> Probe:
    """What share of what could be gained over chance does it gain in the trials that count?"""

    def measure(trials, references, replay):
        return [
            Reading(ratio(*gains(lived, "intact")), ring=ring)
            for ring, lived in trials.items()
            if "chance" in lived and (lived.best > lived.chance).any()
        ]

    return Probe(
        name="performance",
        question="What share of the pay-off between chance (0) and the best act (1) does it gain?",
        measure=measure,
        rings=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon", "inverted"),
        expects={"learner": "any", "lookalike": "any", "still": "any"},
    )
