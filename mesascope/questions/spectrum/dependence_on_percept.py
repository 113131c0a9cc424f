"""What share of the subject's choices changes when only the last percept is exchanged, for one response?"""

from mesascope.contracts import define_metric, select_fresh_trials
from mesascope.questions.spectrum.changes import make_dependence_readings

CHANGES = {
    "percept_exchanged_once:action=0": "feedback flipped",
    "percept_exchanged_once:action=1": "last action exchanged",
}


@define_metric(
    "What share of the subject's choices changes when only the last percept is exchanged, for one response?",
    conditions=("intact", *CHANGES),
    expected_signs={"learner": "+", "lookalike": "+", "still": "0"},
    is_confirmatory=True,
)
def metric(trials, references, replay):
    """What share of the subject's choices changes when only the last percept is exchanged, for one response?"""
    return make_dependence_readings(select_fresh_trials(trials), CHANGES)
