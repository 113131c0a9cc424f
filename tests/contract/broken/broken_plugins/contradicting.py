"""Does it find something in the still control?"""

from mesascope.contracts.metric import Metric, Reading, fresh
from mesascope.trials import payoff


def metric() -> Metric:
    """Does it find something in the still control?"""
    return Metric(
        name="contradicting",
        question="What does it score?",
        measure=lambda trials, references, replay: [Reading(payoff(fresh(trials)).mean(-1))],
        expects={"learner": "+", "lookalike": "any", "still": "0"},
    )
