"""How much pay-off does it miss over a lifetime, and how much more than reference procedures on the same tasks?"""

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Reading, asks, fresh
from mesascope.trials import payoff


@asks(
    "How much expected pay-off does it miss over a lifetime, in units of one trial's pay-off?",
    references=("learner", "strongest"),
)
def metric(trials, references, replay):
    """How much pay-off does it miss over a lifetime, and how much more than each reference procedure?"""
    lived = fresh(trials)
    if "best" not in lived:
        raise DoesNotApply("the best pay-off is not known")
    paid = payoff(lived)
    missed = np.nansum(lived.best.values - paid, -1)
    out = [Reading(missed, split=str(lived.attrs["split"]), label="against the best choice")]
    if "fixed" in lived:
        fixed = (lived.fixed.values - paid).sum(-1)
        out.append(Reading(fixed, label="against the best policy that cannot adapt"))
    for splits in references.values():
        if "fresh" in splits and splits["fresh"].sizes["lifetime"] == len(missed):
            other = splits["fresh"]
            out.append(Reading((payoff(other) - paid).sum(-1), label=f"against {other.attrs['subject']}"))
    return out
