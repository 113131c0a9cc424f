"""What part of its choices changes when a part of the picture is hidden or moved, for one response?"""

from __future__ import annotations

from mesascope.probes import DoesNotApply, Probe, Reading, fresh
from mesascope.probes._changes import changed

CHANGES = {
    "ball_hidden:once=1": "ball hidden",
    "ball_moved:by=10,once=1": "ball moved",
    "patch_hidden:once=1": "a patch of the ball's size hidden elsewhere",
    "paddle_hidden:once=1": "own paddle hidden",
    "frames_shuffled:once=1": "an earlier picture",
}
PAIR = ("ball_hidden:once=1", "patch_hidden:once=1")


def probe() -> Probe:
    """What part of its choices changes when a part of the picture is hidden or moved, for one response?"""

    def measure(trials, references, replay):
        lived = fresh(trials)
        made = [label for label in CHANGES if label in lived.condition.values]
        if not set(PAIR) <= set(made):
            raise DoesNotApply("its tasks show no picture with a ball")
        out = [Reading(changed(lived, label), label=CHANGES[label]) for label in made]
        ball, patch = (changed(lived, label) for label in PAIR)
        return [*out, Reading(ball - patch, label="ball hidden, less a patch hidden")]

    return Probe(
        name="dependence_on_picture",
        question="What part of its choices changes when a part of the picture is hidden or moved, for one response?",
        measure=measure,
        conditions=("intact", *CHANGES),
        expects={"learner": "any", "lookalike": "any", "still": "0"},
    )
