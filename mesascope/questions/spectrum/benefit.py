"""How much gain does the subject lose if feedback older than a few trials comes from other lifetimes?

The false feedback may make a subject choose worse, because no real lifetime could contain it. The number then measures
this harm, and not the benefit of older feedback. The metric `deletion` does not have this fault.
"""

from mesascope.contracts import Reading, define_metric, select_fresh_trials, sum_gains
from mesascope.stats import compute_ratio
from mesascope.trials import find_reflex_window


@define_metric(
    "What share of the possible gain is lost if feedback older than a few trials comes from other lifetimes?",
    conditions=("intact", "feedback_shuffled:older_than={few},replicate=0"),
    expected_signs={"learner": "+", "lookalike": "0", "still": "0"},
)
def metric(trials, references, replay):
    """How much gain does the subject lose if feedback older than a few trials comes from other lifetimes?"""
    rollout = select_fresh_trials(trials)
    older = f"feedback_shuffled:older_than={find_reflex_window(rollout.sizes['trial'])}"
    intact, shuffled = (compute_ratio(*sum_gains(rollout, label)) for label in ("intact", older))
    return [Reading(intact - shuffled)]
