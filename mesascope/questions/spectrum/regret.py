"""How much pay-off does the subject miss over a lifetime, and how much more than reference procedures?"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric, select_fresh_trials
from mesascope.trials import read_payoffs


@define_metric(
    "How much expected pay-off does the subject miss over a lifetime, in units of one trial's pay-off?",
    references=("learner", "strongest"),
)
def metric(trials, references, replay):
    """How much pay-off does the subject miss over a lifetime, and how much more than each reference procedure?"""
    rollout = select_fresh_trials(trials)
    if "best" not in rollout:
        raise DoesNotApply("the expected pay-off of the best choice is not known")
    paid = read_payoffs(rollout)
    missed = np.nansum(rollout.best.values - paid, -1)
    readings = [Reading(missed, split=str(rollout.attrs["split"]), label="against the best choice")]
    if rollout.attrs["split"] == "logged" and "score" in rollout:
        realised = rollout.best.values - rollout.feedback.sel(condition="intact").values
        label = "realised, the best choice's expected pay-off minus the feedback"
        readings.append(Reading(np.nansum(realised, -1), "logged", label))
    if "fixed" in rollout:
        fixed = (rollout.fixed.values - paid).sum(-1)
        readings.append(Reading(fixed, label="against the best policy that cannot adapt"))
    for splits in references.values():
        if "fresh" in splits and splits["fresh"].sizes["lifetime"] == len(missed):
            other = splits["fresh"]
            readings.append(Reading((read_payoffs(other) - paid).sum(-1), label=f"against {other.attrs['subject']}"))
    return readings
