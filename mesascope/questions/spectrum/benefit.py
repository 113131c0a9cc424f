"""How much does the subject's score change if feedback older than a few trials comes from other lifetimes?

A subject may choose worse after a past that could not have happened to it. Then the number shows harm, not benefit. See
`deletion` for a measure without this fault.
"""

from mesascope.contracts import Reading, define_metric, select_fresh, sum_gains
from mesascope.stats import compute_ratio
from mesascope.trials import find_reflex_window


@define_metric(
    "How much of what could be gained is lost if feedback older than a few trials is other lifetimes'?",
    conditions=("intact", "feedback_shuffled:older_than={few},replicate=0"),
    expects={"learner": "+", "lookalike": "0", "still": "0"},
)
def metric(trials, references, replay):
    """How much does the subject's score change if feedback older than a few trials comes from other lifetimes?"""
    rollout = select_fresh(trials)
    older = f"feedback_shuffled:older_than={find_reflex_window(rollout.sizes['trial'])}"
    intact, shuffled = (compute_ratio(*sum_gains(rollout, label)) for label in ("intact", older))
    return [Reading(intact - shuffled)]
