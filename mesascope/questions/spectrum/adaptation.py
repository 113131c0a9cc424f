"""Does its pay-off rise within the lifetime?"""

from mesascope.contracts.metric import DoesNotApply, Reading, asks, fresh
from mesascope.stats import mean, ratio
from mesascope.trials import gain, payoff


@asks(
    "By how much of what could be gained does its pay-off rise from the first tenth to the last quarter?",
    expects={"learner": "+", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """Does its pay-off rise from the first tenth of the lifetime to the last quarter?"""
    lived = fresh(trials)
    length = lived.sizes["trial"]
    if length < 4:
        raise DoesNotApply(f"a lifetime has {length} trials, it needs 4")
    start, end = slice(0, max(length // 10, 1)), slice(length - max(length // 4, 1), None)
    if "chance" in lived:
        return [Reading(ratio(*gain(lived, "intact", end)) - ratio(*gain(lived, "intact", start)))]
    paid = payoff(lived)
    rise = mean(paid[:, end]) - mean(paid[:, start])
    return [Reading(rise, split=lived.attrs.get("split", "logged"), reason="realised pay-off")]
