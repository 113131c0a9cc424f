"""What does the subject lose when its carry is frozen after a tenth of the lifetime?"""

from mesascope.contracts import Reading, define_metric, select_fresh_trials, sum_gains
from mesascope.stats import compute_ratio


@define_metric(
    "What share of the possible gain does the subject lose if its carry is frozen after a tenth of the lifetime?",
    conditions=("intact", "carry_frozen:trial={tenth}"),
    expected_signs={"learner": "any", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """What does the subject lose when its carry is frozen after a tenth of the lifetime?"""
    rollout = select_fresh_trials(trials)
    frozen = f"carry_frozen:trial={rollout.sizes['trial'] // 10}"
    return [Reading(compute_ratio(*sum_gains(rollout, "intact")) - compute_ratio(*sum_gains(rollout, frozen)))]
