"""What does the subject lose when its carry is reset before every trial, or once half-way?"""

from mesascope.contracts import Reading, define_metric, select_fresh_trials, sum_gains
from mesascope.stats import compute_ratio

SCORED_TRIALS = 10  # how many trials are scored after the single reset


@define_metric(
    "What share of the possible gain does the subject lose when its carry is reset?",
    conditions=("intact", "carry_reset", "carry_reset:trial={half}"),
    expected_signs={"learner": "any", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """What does the subject lose when its carry is reset before every trial, or once half-way?"""
    rollout = select_fresh_trials(trials)
    half = rollout.sizes["trial"] // 2
    once, after = f"carry_reset:trial={half}", slice(half, half + SCORED_TRIALS)
    intact = compute_ratio(*sum_gains(rollout, "intact"))
    reflex = compute_ratio(*sum_gains(rollout, "carry_reset"))
    before, reset = (compute_ratio(*sum_gains(rollout, c, window=after)) for c in ("intact", once))
    initial = compute_ratio(*sum_gains(rollout, "intact", window=slice(0, SCORED_TRIALS)))
    return [
        Reading(intact - reflex, label="every trial"),
        Reading(reflex, label="what a reflex on the last percept keeps"),
        Reading(before - reset, label=f"once, over the {SCORED_TRIALS} trials after it"),
        Reading(
            reset - initial,
            label=f"{SCORED_TRIALS} trials after the one reset, above the first {SCORED_TRIALS} of life",
        ),
    ]
