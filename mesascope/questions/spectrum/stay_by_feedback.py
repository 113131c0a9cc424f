"""How much oftener does it repeat a choice that has just paid well than one that has just paid badly?"""

import numpy as np

from mesascope.contracts.metric import Reading, asks, fresh, require_choices
from mesascope.stats import mean


@asks(
    "How much oftener does it repeat a choice after feedback above the middle than after the rest?",
    expects={"learner": "+", "lookalike": "+", "still": "0"},
)
def metric(trials, references, replay):
    """How much oftener does it repeat a choice that has just paid well than one that has just paid badly?"""
    lived = require_choices(fresh(trials))
    action = lived.action.sel(condition="intact").values
    paid = lived.feedback.sel(condition="intact").values.astype(float)[:, :-1]
    known = (action[:, :-1] >= 0) & (action[:, 1:] >= 0) & np.isfinite(paid)
    if "offered" in lived:  # staying is possible where the choice is offered again
        again = lived.offered.values[:, 1:].astype(bool)
        known &= np.take_along_axis(again, np.maximum(action[:, :-1, None], 0), -1)[..., 0]
    stayed = action[:, 1:] == action[:, :-1]
    middle = np.nanmedian(np.unique(paid[known])) if known.any() else 0.0
    well, badly = known & (paid > middle), known & (paid <= middle)
    if known.any() and not well.any():  # two levels: the middle is between them
        well, badly = known & (paid >= middle), known & (paid < middle)
    after = [mean(np.where(among, stayed, np.nan)) for among in (well, badly)]
    return [Reading(after[0] - after[1], split=str(lived.attrs["split"]))]
