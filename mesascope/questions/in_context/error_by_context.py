"""How much does it err after so many pairs or symbols seen, on every ring?"""

from __future__ import annotations

import numpy as np

from mesascope.contracts.metric import Probe, Reading
from mesascope.questions.in_context.predictions import predicting, room
from mesascope.stats import ratio
from mesascope.trials import payoff


def probe() -> Probe:
    """What part of chance's error is left after so many trials seen, on every ring? Above 1 it is worse than chance."""

    def measure(trials, references, replay):
        out = []
        for ring, lived in predicting(trials).items():
            missed = lived.best.values.astype(float) - payoff(lived)
            for seen in lengths(lived.sizes["trial"]):
                out.append(
                    Reading(
                        ratio(missed[:, seen], room(lived)[:, seen]),
                        ring=ring,
                        label=f"after {seen}",
                        null=1.0,
                        descriptive=not lived.attrs.get("counted", True),
                    )
                )
        return out

    return Probe(
        name="error_by_context",
        question="What part of chance's error is left after so many trials seen (0 at best, 1 by chance)?",
        measure=measure,
        rings=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon"),
        expects={"learner": "any", "lookalike": "any", "still": "any"},
    )


def lengths(trials: int) -> list[int]:
    """Trials seen that are asked about: none, powers of two, and all but the last trial."""
    powers = 2 ** np.arange(int(np.log2(max(trials - 1, 1))) + 1)
    return sorted({0, *powers.tolist(), trials - 1})
