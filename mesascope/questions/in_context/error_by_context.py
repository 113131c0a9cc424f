"""How much does it err after so many pairs or symbols seen, on every split?"""

from __future__ import annotations

import numpy as np

from mesascope.contracts.metric import Metric, Reading
from mesascope.questions.in_context.predictions import predicting, room
from mesascope.stats import ratio
from mesascope.trials import payoff


def metric() -> Metric:
    """What part of chance's error is left after so many trials, on every split? Above 1 it is worse than chance."""

    def measure(trials, references, replay):
        out = []
        for split, lived in predicting(trials).items():
            missed = lived.best.values.astype(float) - payoff(lived)
            for seen in lengths(lived.sizes["trial"]):
                out.append(
                    Reading(
                        ratio(missed[:, seen], room(lived)[:, seen]),
                        split=split,
                        label=f"after {seen}",
                        null=1.0,
                        descriptive=not lived.attrs.get("counted", True),
                    )
                )
        return out

    return Metric(
        name="error_by_context",
        question="What part of chance's error is left after so many trials seen (0 at best, 1 by chance)?",
        measure=measure,
        splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon"),
        expects={"learner": "any", "lookalike": "any", "still": "any"},
    )


def lengths(trials: int) -> list[int]:
    """Trials seen that are asked about: none, powers of two, and all but the last trial."""
    powers = 2 ** np.arange(int(np.log2(max(trials - 1, 1))) + 1)
    return sorted({0, *powers.tolist(), trials - 1})
