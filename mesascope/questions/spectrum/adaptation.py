"""Does the subject's pay-off rise within the lifetime?"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric, select_fresh_trials
from mesascope.stats import average_valid, compute_ratio
from mesascope.trials import measure_gain, read_payoffs, select_window


@define_metric(
    "By what share of the possible gain does the subject's pay-off rise from the first tenth to the last quarter?",
    expected_signs={"learner": "+", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """Does the subject's pay-off rise from the first tenth of the lifetime to the last quarter?"""
    rollout = select_fresh_trials(trials)
    length = rollout.sizes["trial"]
    if length < 4:
        raise DoesNotApply(f"a lifetime has {length} trials, but the metric needs 4")
    start = select_window(rollout, lambda n: slice(0, max(n // 10, 1) if n >= 4 else 0))
    end = select_window(rollout, lambda n: slice(n - max(n // 4, 1) if n >= 4 else n, None))
    if "chance" in rollout:
        early, late = (compute_ratio(*measure_gain(rollout, "intact", window)) for window in (start, end))
        return [Reading(late - early)]
    paid = read_payoffs(rollout)
    early, late = (
        average_valid(paid[:, window] if isinstance(window, slice) else np.where(window, paid, np.nan))
        for window in (start, end)
    )
    rise = late - early
    return [Reading(rise, split=rollout.attrs.get("split", "logged"), reason="realised pay-off")]
