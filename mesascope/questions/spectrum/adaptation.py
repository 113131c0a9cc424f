"""Does the subject's pay-off rise within the lifetime?"""

from mesascope.contracts import DoesNotApply, Reading, define_metric, select_fresh
from mesascope.stats import average_valid, compute_ratio
from mesascope.trials import measure_gain, read_payoffs


@define_metric(
    "By how much of what could be gained does the subject's pay-off rise from the first tenth to the last quarter?",
    expects={"learner": "+", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """Does the subject's pay-off rise from the first tenth of the lifetime to the last quarter?"""
    rollout = select_fresh(trials)
    length = rollout.sizes["trial"]
    if length < 4:
        raise DoesNotApply(f"a lifetime has {length} trials, and it needs 4")
    start, end = slice(0, max(length // 10, 1)), slice(length - max(length // 4, 1), None)
    if "chance" in rollout:
        early, late = (compute_ratio(*measure_gain(rollout, "intact", window)) for window in (start, end))
        return [Reading(late - early)]
    paid = read_payoffs(rollout)
    rise = average_valid(paid[:, end]) - average_valid(paid[:, start])
    return [Reading(rise, split=rollout.attrs.get("split", "logged"), reason="realised pay-off")]
