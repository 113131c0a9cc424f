"""When the subject gets another lifetime's carry for one response, does it act as in that lifetime or as in its own?"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric, list_replicates, select_fresh_trials
from mesascope.questions.spectrum.carried import find_donors
from mesascope.stats import average_valid

CONDITION = "carry_exchanged_once:fresh=0"


@define_metric(
    "Where the two choices differ, how much more often does the subject take the donor's than its own (-1 to 1)?",
    conditions=("intact", CONDITION),
    expected_signs={"learner": "+", "lookalike": "any", "still": "-"},
)
def metric(trials, references, replay):
    """When the subject gets another lifetime's carry for one response, does it act as in that lifetime?"""
    rollout = select_fresh_trials(trials)
    list_replicates(rollout, CONDITION)
    own = rollout.action.sel(condition="intact").values
    if own.dtype.kind == "f":
        raise DoesNotApply("its actions are real numbers, which hardly ever equal those of its donor")
    swapped = rollout.action.sel(condition=CONDITION).values
    donors = find_donors(rollout, CONDITION)
    if own.ndim == 3:  # trials with several steps: all steps of a trial share a donor
        donors = np.repeat(donors[..., None], own.shape[-1], -1)
    inside = donors < len(own)
    donor = np.take_along_axis(own, np.where(inside, donors, 0), 0)
    differ = (inside & (donor != own) & (donor >= 0) & (own >= 0)).reshape(len(own), -1)
    differ[:, 0] = False
    if not differ.any():
        raise DoesNotApply("the choices of a lifetime and its donor never differ")
    followed = (swapped == donor).astype(float) - (swapped == own)
    return [Reading(average_valid(np.where(differ, followed.reshape(differ.shape), np.nan)))]
