"""How much does it err after so many pairs or symbols seen, on every split?"""

import numpy as np

from mesascope.contracts.metric import Reading, asks
from mesascope.questions.in_context.predictions import possible_gain, splits_with_targets
from mesascope.stats import ratio
from mesascope.trials import payoff


@asks(
    "What part of chance's error is left after so many trials seen (0 at best, 1 by chance)?",
    splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon"),
)
def metric(trials, references, replay):
    """What part of chance's error is left after so many trials, on every split? Above 1 it is worse than chance."""
    out = []
    for split, lived in splits_with_targets(trials).items():
        missed = lived.best.values.astype(float) - payoff(lived)
        for seen in context_lengths(lived.sizes["trial"]):
            share, aside = (
                ratio(missed[:, seen], possible_gain(lived)[:, seen]),
                not lived.attrs.get("counted", True),
            )
            out.append(Reading(share, split, f"after {seen}", null=1.0, descriptive=aside))
    return out


def context_lengths(trials: int) -> list[int]:
    """Trials seen that are asked about: none, powers of two, and all but the last trial."""
    powers = 2 ** np.arange(int(np.log2(max(trials - 1, 1))) + 1)
    return sorted({0, *powers.tolist(), trials - 1})
