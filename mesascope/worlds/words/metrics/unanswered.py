"""How often does the subject refuse, answer without one of the labels or with several, or not answer at all?"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric, select_fresh_trials

ANSWER_CODES = {  # the codes are those of mesascope.agents.language.answers
    1: "a label that was not listed",
    2: "refused",
    3: "named no label, or several",
    4: "did not answer",
}


@define_metric("How often does the subject refuse, answer without a label, or not answer at all?")
def metric(trials, references, replay):
    """How often does the subject refuse, answer without one of the labels or with several, or not answer at all?"""
    rollout = select_fresh_trials(trials)
    if "answered" not in rollout:
        raise DoesNotApply("the subject does not answer in words")
    code = rollout.answered.sel(condition="intact").values
    readings = [Reading((code == c).mean(-1), label=label) for c, label in ANSWER_CODES.items()]
    mass = rollout.mass.sel(condition="intact").values.astype(float)
    if np.isfinite(mass).any():
        reason = f"in repeated questions, log-probabilities change by at most {rollout.attrs.get('floor', 0.0):.3f}"
        readings.append(Reading(np.nanmean(mass, -1), label="probability of all labels together", reason=reason))
    return readings
