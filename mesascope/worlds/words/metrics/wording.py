"""How much does the gain depend on the wording? Wordings are resampled, so the answer holds for similar wordings."""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric, select_fresh_trials
from mesascope.stats import compute_ratio
from mesascope.trials import measure_gain


@define_metric(
    "What does the subject gain on average over wordings, and how far is the gain of one wording from this mean?"
)
def metric(trials, references, replay):
    """What does the subject gain on average over wordings, and how far is the gain of one wording from this mean?"""
    rollout = select_fresh_trials(trials)
    if "wording" not in rollout:
        raise DoesNotApply("the family has no wordings")
    wordings = rollout.wording.values.astype(int)
    names, index, count = np.unique(wordings, return_inverse=True, return_counts=True)
    if len(names) < 3:
        raise DoesNotApply(f"three wordings are needed, but the number of wordings is {len(names)}")
    values = compute_ratio(*measure_gain(rollout))
    means = np.bincount(index, values) / count
    distance = np.abs(means - means.mean())[index]
    spread = np.asarray([values[wordings == w].std(ddof=1) if (wordings == w).sum() > 1 else 0.0 for w in names])
    noise = float((np.sqrt(2 / np.pi) * spread / np.sqrt(count)).mean())
    reason = f"{count.min()} to {count.max()} lifetimes per wording"
    return [
        Reading(values, label="gain over wordings", unit="wording", reason=reason),
        Reading(distance, label="distance of a wording from the mean", unit="wording", null=noise, reason=reason),
    ]
