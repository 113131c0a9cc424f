"""What share of the subject's choices changes when a part of the picture is hidden or moved, for one response?"""

from mesascope.contracts import DoesNotApply, Reading, define_metric, select_fresh_trials
from mesascope.questions.spectrum.changes import measure_choice_change

CHANGES = {
    "ball_hidden:is_single=1": "ball hidden",
    "ball_moved:rows=10,is_single=1": "ball moved",
    "patch_hidden:is_single=1": "a patch of the ball's size hidden elsewhere",
    "paddle_hidden:is_single=1": "own paddle hidden",
    "frames_shuffled:is_single=1": "an earlier picture",
    "ball_hidden:is_single=1,earlier_percepts=3": "ball hidden in the last four pictures, nothing older carried",
    "patch_hidden:is_single=1,earlier_percepts=3": "the patch hidden in the last four pictures, nothing older carried",
}
PAIRS = {
    ("ball_hidden:is_single=1", "patch_hidden:is_single=1"): "ball hidden, less a patch hidden",
    (
        "ball_hidden:is_single=1,earlier_percepts=3",
        "patch_hidden:is_single=1,earlier_percepts=3",
    ): "the same in the last four pictures",
}


@define_metric(
    "What share of the subject's choices changes when a part of the picture is hidden or moved, for one response?",
    conditions=("intact", *CHANGES),
    expected_signs={"learner": "any", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """What share of the subject's choices changes when a part of the picture is hidden or moved, for one response?"""
    rollout = select_fresh_trials(trials)
    available = [label for label in CHANGES if label in rollout.condition.values]
    pairs = {pair: words for pair, words in PAIRS.items() if set(pair) <= set(available)}
    if not pairs:
        raise DoesNotApply("its tasks show no picture with a ball")
    readings = [Reading(measure_choice_change(rollout, label), label=CHANGES[label]) for label in available]
    for (ball, patch), words in pairs.items():
        readings.append(
            Reading(measure_choice_change(rollout, ball) - measure_choice_change(rollout, patch), label=words)
        )
    return readings
