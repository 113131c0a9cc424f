"""Does it find something in the still control?"""

from mesascope.contracts.metric import Probe, Reading, fresh
from mesascope.trials import payoff


def probe() -> Probe:
    """Does it find something in the still control?"""
    return Probe(
        name="contradicting",
        question="What does it score?",
        measure=lambda trials, references, replay: [Reading(payoff(fresh(trials)).mean(-1))],
        expects={"learner": "+", "lookalike": "any", "still": "0"},
    )
