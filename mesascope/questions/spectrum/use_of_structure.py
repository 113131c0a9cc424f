"""Does the subject make use of the dependence between arms?

A lower regret than Thompson sampling's on dependent arms is not evidence, because the Bayes-optimal policy for
independent arms has a lower regret too (regret 1.35 on the medium arms of Wang et al. 2016, where 1.00 is optimal and
Thompson sampling has 3.01). So the threshold there is 1.20. The reverse test is sharper, because a policy that relies
on dependence has more regret on independent arms (about 2.8 instead of 1.75).
"""

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, Reading, define_metric
from mesascope.trials import read_payoffs

REGRET_THRESHOLD = 1.20  # regret over 100 trials on dependent_medium, between the optima with and without the structure
DEPENDENT_SPLITS = ("restructured:dependent", "restructured:coupled")
INDEPENDENT_SPLIT = "restructured:independent"


@define_metric(
    "Does the subject use the dependence between arms: how large is its regret with and without it?",
    splits=("restructured",),
    references=("learner", "strongest"),
)
def metric(trials, references, replay):
    """Does the subject use the dependence between arms? The test compares dependent with independent arms."""
    away = next((r for r in (INDEPENDENT_SPLIT, *DEPENDENT_SPLITS) if r in trials), "")
    if not away or "fresh" not in trials:
        raise DoesNotApply(
            "the splits that were run do not include one with dependent arms and one with independent arms"
        )
    medium = "prior=dependent_medium" in str(trials["fresh"].attrs["family"])
    medium &= trials["fresh"].sizes["trial"] == 100
    joined, apart = ("fresh", away) if away == INDEPENDENT_SPLIT else (away, "fresh")
    readings = []
    for split in (joined, apart):
        words = f"regret where arms {'depend on each other' if split == joined else 'are independent'}"
        bar = REGRET_THRESHOLD if medium and split == "fresh" else 0.0
        reason = (
            f"{REGRET_THRESHOLD} is between the optimum that uses the dependence (1.00) and one that does not (1.35)"
        )
        readings.append(Reading(_sum_regret(trials[split]), split, words, null=bar, reason=reason if bar else ""))
        others = [splits[split] for splits in references.values() if split in splits]
        for name, other in {str(other.attrs["subject"]): other for other in others}.items():
            behind = _sum_regret(trials[split]) - _sum_regret(other)
            readings.append(Reading(behind, split, f"{words}, less that of {name}"))
    learner = references.get("learner", {})
    if joined in learner and apart in learner:
        extra = _sum_regret(trials[apart]) - _sum_regret(trials[joined])
        usual = _sum_regret(learner[apart]) - _sum_regret(learner[joined])
        words = f"regret that independence costs it, less what it costs {learner[apart].attrs['subject']}"
        readings.append(Reading(extra - usual, away, words))
    return readings


def _sum_regret(trials: xr.Dataset) -> np.ndarray:
    """Sums the regret of each lifetime [N]."""
    return np.nansum(trials.best.values - read_payoffs(trials), -1)
