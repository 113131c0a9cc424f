"""Does it use that arms depend on each other?

To beat Thompson sampling on dependent arms shows nothing: the Bayes-optimal policy for independent arms does so too
(regret 1.35 on the medium ones of Wang et al. 2016, where 1.00 is optimal and Thompson has 3.01). So the bar there is
1.20; and the sharper test is the other way round: who counts on a dependence loses where there is none (about 2.8
instead of 1.75 on independent arms).
"""

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Reading, asks
from mesascope.trials import payoff

BAR = 1.20  # regret over 100 trials on dependent_medium, between the optima with and without the structure
JOINED = ("restructured:dependent", "restructured:coupled")
APART = "restructured:independent"


@asks(
    "Does it use that arms depend on each other: what does it miss where they do and where they do not?",
    splits=("restructured",),
    references=("learner", "strongest"),
)
def metric(trials, references, replay):
    """Does it use that arms depend on each other, seen both ways round?"""
    away = next((r for r in (APART, *JOINED) if r in trials), "")
    if not away or "fresh" not in trials:
        raise DoesNotApply("the family has no arms that depend on each other on one split and not on another")
    medium = "prior=dependent_medium" in str(trials["fresh"].attrs["family"])
    medium &= trials["fresh"].sizes["trial"] == 100
    joined, apart = ("fresh", away) if away == APART else (away, "fresh")
    out = []
    for split in (joined, apart):
        words = f"regret where arms {'depend on each other' if split == joined else 'are independent'}"
        bar = BAR if medium and split == "fresh" else 0.0
        why = f"{BAR} is between the optimum that uses the dependence (1.00) and the one that does not (1.35)"
        out.append(Reading(_missed(trials[split]), split, words, null=bar, reason=why if bar else ""))
        others = [splits[split] for splits in references.values() if split in splits]
        for name, other in {str(lived.attrs["subject"]): lived for lived in others}.items():
            behind = _missed(trials[split]) - _missed(other)
            out.append(Reading(behind, split, f"{words}, less that of {name}"))
    learner = references.get("learner", {})
    if joined in learner and apart in learner:
        extra = _missed(trials[apart]) - _missed(trials[joined])
        usual = _missed(learner[apart]) - _missed(learner[joined])
        words = f"regret that independence costs it, less what it costs {learner[apart].attrs['subject']}"
        out.append(Reading(extra - usual, away, words))
    return out


def _missed(lived: xr.Dataset) -> np.ndarray:
    """[N] regret of a lifetime."""
    return np.nansum(lived.best.values - payoff(lived), -1)
