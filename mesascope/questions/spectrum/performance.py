"""What share of the possible gain over chance does it get, on every split?"""

from mesascope.contracts.metric import Reading, asks, gains
from mesascope.stats import ratio


@asks(
    "What share of the pay-off between chance (0) and the best act (1) does it gain?",
    splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon", "inverted"),
)
def metric(trials, references, replay):
    """What share of the possible gain over chance does it get in the trials that count?"""
    return [
        Reading(ratio(*gains(rollout, "intact")), split=split)
        for split, rollout in trials.items()
        if "chance" in rollout and (rollout.best > rollout.chance).any()
    ]
