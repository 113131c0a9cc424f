"""Does feedback older than w trials, which only its carry can contain, change its score?"""

from mesascope.contracts.metric import Reading, asks, fresh, gains
from mesascope.stats import ratio
from mesascope.trials import reflex_window


@asks(
    "By how much of what could be gained does feedback older than a few trials raise the score?",
    conditions=("intact", *(f"feedback_shuffled:older_than={{few}},replicate={r}" for r in range(4))),
    expects={"learner": "+", "lookalike": "0", "still": "0"},
    confirmatory=True,
)
def metric(trials, references, replay):
    """Does feedback older than a few trials, which only its carry can contain, change its score?"""
    rollout = fresh(trials)
    older = f"feedback_shuffled:older_than={reflex_window(rollout.sizes['trial'])}"
    intact, shuffled = (ratio(*gains(rollout, label)) for label in ("intact", older))
    return [Reading(intact - shuffled)]
