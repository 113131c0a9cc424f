"""What happens when a lifetime goes on, from the trained horizon to five times that?"""

from __future__ import annotations

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Probe, Reading
from mesascope.stats import ratio
from mesascope.trials import gain, payoff


def probe() -> Probe:
    """What happens from the trained horizon to five times that, beside the reference there?"""

    def measure(trials, references, replay):
        ring = next((r for r in trials if r.startswith("horizon")), None)
        if ring is None or "fresh" not in trials:
            raise DoesNotApply("no ring with a longer horizon was run")
        lived, short = trials[ring], trials["fresh"].sizes["trial"]
        times = lived.sizes["trial"] // short
        if times < 2:
            raise DoesNotApply(f"{ring} is no longer than fresh")
        windows = [slice(i * short, (i + 1) * short) for i in range(times)]
        missed = [np.nansum((lived.best.values - payoff(lived))[:, w], -1) / short for w in windows]
        out = []
        for i, w in enumerate(windows):
            words = f"trials {w.start + 1} to {w.stop}"
            out.append(Reading(ratio(*gain(lived, "intact", w)), ring, f"share of the best, {words}"))
            out.append(Reading(missed[i], ring, f"regret per trial, {words}"))
            for rings in references.values():
                if ring in rings and gain(rings[ring], "intact", w)[0].sum() > 0:
                    against = ratio(gain(lived, "intact", w)[0], gain(rings[ring], "intact", w)[0])
                    name = rings[ring].attrs["subject"]
                    out.append(Reading(against, ring, f"share of {name}, {words}", null=1.0))
        first, last = (ratio(*gain(lived, "intact", w)) for w in (windows[0], windows[-1]))
        out.append(Reading(last - first, ring, "share of the best, last stretch less the first"))
        return out

    return Probe(
        name="beyond_horizon",
        question="What does it gain and miss in successive stretches of the length that it was trained on?",
        measure=measure,
        rings=("horizon",),
        references=("learner",),
        expects={"learner": "any", "lookalike": "any", "still": "any"},
    )
