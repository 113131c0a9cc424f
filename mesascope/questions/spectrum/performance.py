"""What share of the possible gain over chance does the subject get, on every split?"""

from mesascope.contracts import Reading, define_metric, sum_gains
from mesascope.stats import compute_ratio


@define_metric(
    "What share of the possible gain, from chance (0) to the best action (1), does the subject get?",
    splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon", "inverted"),
)
def metric(trials, references, replay):
    """What share of the possible gain over chance does the subject get in the trials that count?"""
    useful = {k: v for k, v in trials.items() if "chance" in v and (v.best > v.chance).any()}
    return [Reading(compute_ratio(*sum_gains(rollout, "intact")), split=split) for split, rollout in useful.items()]
