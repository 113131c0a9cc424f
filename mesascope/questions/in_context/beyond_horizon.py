"""How well does the subject do when a lifetime is longer than the trained horizon, up to five times as long?"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric
from mesascope.stats import compute_ratio
from mesascope.trials import measure_gain, read_payoffs


@define_metric(
    "How much does the subject gain, and how much does it miss, in each segment as long as the trained horizon?",
    splits=("horizon",),
    references=("learner",),
)
def metric(trials, references, replay):
    """How well do the subject and the reference do beyond the trained horizon, up to five times this horizon?"""
    split = next((r for r in trials if r.startswith("horizon")), None)
    if split is None or "fresh" not in trials:
        raise DoesNotApply("no split with a longer horizon was run")
    rollout, short = trials[split], trials["fresh"].sizes["trial"]
    times = rollout.sizes["trial"] // short
    if times < 2:
        raise DoesNotApply(f"its lifetimes on {split} are less than twice as long as those on fresh")
    windows = [slice(i * short, (i + 1) * short) for i in range(times)]
    missed = [np.nansum((rollout.best.values - read_payoffs(rollout))[:, w], -1) / short for w in windows]
    readings = []
    for i, w in enumerate(windows):
        stretch = f"trials {w.start + 1} to {w.stop}"
        readings.append(
            Reading(compute_ratio(*measure_gain(rollout, "intact", w)), split, f"share of the best, {stretch}")
        )
        readings.append(Reading(missed[i], split, f"regret per trial, {stretch}"))
        for reference in (splits[split] for splits in references.values() if split in splits):
            reference_gain = measure_gain(reference, "intact", w)[0]
            if reference_gain.sum() > 0:
                share = compute_ratio(measure_gain(rollout, "intact", w)[0], reference_gain)
                label = f"share of {reference.attrs['subject']}, {stretch}"
                readings.append(Reading(share, split, label, null=1.0))
    first, last = (compute_ratio(*measure_gain(rollout, "intact", w)) for w in (windows[0], windows[-1]))
    readings.append(Reading(last - first, split, "share of the best, last stretch minus the first"))
    return readings
