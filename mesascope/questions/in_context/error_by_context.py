"""How large is the subject's error on every split after a given number of examples or symbols?"""

import numpy as np

from mesascope.contracts import Reading, define_metric
from mesascope.questions.in_context.predictions import compute_possible_gain, select_splits_with_targets
from mesascope.stats import compute_ratio
from mesascope.trials import read_payoffs


@define_metric(
    "What share of the chance error remains after a given number of trials (0 at best, 1 by chance)?",
    splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon"),
)
def metric(trials, references, replay):
    """What share of the chance error remains after a given number of trials? A share above 1 is worse than chance."""
    readings = []
    for split, rollout in select_splits_with_targets(trials).items():
        missed = rollout.best.values.astype(float) - read_payoffs(rollout)
        possible_gain, descriptive = compute_possible_gain(rollout), not rollout.attrs.get("counted", True)
        for length in choose_context_lengths(rollout.sizes["trial"]):
            share = compute_ratio(missed[:, length], possible_gain[:, length])
            readings.append(Reading(share, split, f"after {length}", null=1.0, is_descriptive=descriptive))
    return readings


def choose_context_lengths(trial_count: int) -> list[int]:
    """Chooses the context lengths at which the error is measured: zero, powers of two, and all trials but the last."""
    powers = 2 ** np.arange(int(np.log2(max(trial_count - 1, 1))) + 1)
    return sorted({0, *powers.tolist(), trial_count - 1})
