"""Does it find something in the still control?"""

from mesascope.contracts import Metric, Reading, select_fresh_trials
from mesascope.trials import read_payoffs


def metric() -> Metric:
    """Does it find something in the still control?"""
    return Metric(
        name="contradicting",
        question="What does it score?",
        measure=lambda trials, references, replay: [Reading(read_payoffs(select_fresh_trials(trials)).mean(-1))],
        expected_signs={"learner": "+", "lookalike": "any", "still": "0"},
    )
