"""What happens when a lifetime goes on, from the trained horizon to five times that?"""

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Reading, asks
from mesascope.stats import ratio
from mesascope.trials import gain, payoff


@asks(
    "What does it gain and miss in successive stretches of the length that it was trained on?",
    splits=("horizon",),
    references=("learner",),
)
def metric(trials, references, replay):
    """What happens from the trained horizon to five times that, beside the reference there?"""
    split = next((r for r in trials if r.startswith("horizon")), None)
    if split is None or "fresh" not in trials:
        raise DoesNotApply("no split with a longer horizon was run")
    lived, short = trials[split], trials["fresh"].sizes["trial"]
    times = lived.sizes["trial"] // short
    if times < 2:
        raise DoesNotApply(f"{split} is no longer than fresh")
    windows = [slice(i * short, (i + 1) * short) for i in range(times)]
    missed = [np.nansum((lived.best.values - payoff(lived))[:, w], -1) / short for w in windows]
    out = []
    for i, w in enumerate(windows):
        words = f"trials {w.start + 1} to {w.stop}"
        out.append(Reading(ratio(*gain(lived, "intact", w)), split, f"share of the best, {words}"))
        out.append(Reading(missed[i], split, f"regret per trial, {words}"))
        for splits in references.values():
            if split in splits and gain(splits[split], "intact", w)[0].sum() > 0:
                against = ratio(gain(lived, "intact", w)[0], gain(splits[split], "intact", w)[0])
                name = splits[split].attrs["subject"]
                out.append(Reading(against, split, f"share of {name}, {words}", null=1.0))
    first, last = (ratio(*gain(lived, "intact", w)) for w in (windows[0], windows[-1]))
    out.append(Reading(last - first, split, "share of the best, last stretch less the first"))
    return out
