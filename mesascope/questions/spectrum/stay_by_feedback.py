"""How much more often does the subject repeat a choice that has just paid well than one that has just paid badly?"""

import numpy as np

from mesascope.contracts import Reading, define_metric, require_choices, select_fresh_trials
from mesascope.stats import average_valid
from mesascope.trials import find_forced_trials


@define_metric(
    "How much more often does the subject repeat a choice after feedback above the median level than after the rest?",
    expected_signs={"learner": "+", "lookalike": "+", "still": "0"},
)
def metric(trials, references, replay):
    """How much more often does the subject repeat a choice after a good pay-off than after a bad one?"""
    rollout = require_choices(select_fresh_trials(trials))
    action = rollout.action.sel(condition="intact").values
    paid = rollout.feedback.sel(condition="intact").values.astype(float)[:, :-1]
    valid = (action[:, :-1] >= 0) & (action[:, 1:] >= 0) & np.isfinite(paid)
    valid &= ~find_forced_trials(rollout)[:, 1:]  # a forced choice is not the subject's own
    if "offered" in rollout:  # staying is possible only if the choice is offered again
        again = rollout.offered.values[:, 1:].astype(bool)
        valid &= np.take_along_axis(again, np.maximum(action[:, :-1, None], 0), -1)[..., 0]
    stayed = action[:, 1:] == action[:, :-1]
    middle = np.nanmedian(np.unique(paid[valid])) if valid.any() else 0.0
    well, badly = valid & (paid > middle), valid & (paid <= middle)
    if valid.any() and not well.any():  # if the median is the highest level, feedback at the median counts as good
        well, badly = valid & (paid >= middle), valid & (paid < middle)
    after = [average_valid(np.where(mask, stayed, np.nan)) for mask in (well, badly)]
    return [Reading(after[0] - after[1], split=str(rollout.attrs["split"]))]
