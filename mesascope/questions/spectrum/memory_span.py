"""What is left of its score when feedback older than w trials comes from other lifetimes, for several w?"""

from mesascope.contracts.metric import Reading, asks, fresh, gains
from mesascope.stats import ratio

SPANS = (0, 1, 2, 4, 8)


@asks(
    "What share of what could be gained is left when feedback older than w trials is another lifetime's?",
    conditions=tuple(f"feedback_shuffled:older_than={w},replicate={r}" for w in SPANS for r in range(4)),
    expects={"learner": "any", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """What is left of its score when feedback older than w trials comes from other lifetimes?"""
    rollout = fresh(trials)
    shares = {w: ratio(*gains(rollout, f"feedback_shuffled:older_than={w}")) for w in SPANS}
    return [Reading(share, label=f"older than {w}") for w, share in shares.items()]
