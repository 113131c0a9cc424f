"""What share of the possible gain does the subject get in lifetimes in which it knows only its last w trials?"""

from mesascope.contracts import DoesNotApply, Reading, define_metric, select_fresh_trials
from mesascope.questions.spectrum.carried import SHORT_MEMORIES, measure_gain_by_memory


@define_metric(
    "What share of the possible gain does the subject get in lifetimes in which it knows only its last w trials?",
    conditions=SHORT_MEMORIES,
    expected_signs={"learner": "any", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """What share of the possible gain does the subject get if it knows only its last w trials?"""
    curve = measure_gain_by_memory(select_fresh_trials(trials))
    if len(curve) < 2:
        raise DoesNotApply("the condition 'past_deleted' was not run")
    return [Reading(curve[w], label=f"knows {w}") for w in sorted(curve) if w]
