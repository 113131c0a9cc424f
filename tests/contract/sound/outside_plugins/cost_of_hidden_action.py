"""What does it lose when its last action is not told?"""

from __future__ import annotations

from mesascope.contracts import Metric, Reading, select_fresh_trials, sum_gains
from mesascope.stats import compute_ratio


def metric() -> Metric:
    """What does it lose when its last action is not told?"""

    def measure(trials, references, replay):
        lived = select_fresh_trials(trials)
        return [
            Reading(compute_ratio(*sum_gains(lived, "intact")) - compute_ratio(*sum_gains(lived, "action_hidden:at=0")))
        ]

    return Metric(
        name="cost_of_hidden_action",
        question="What share of what could be gained does it lose when its last action is not told?",
        measure=measure,
        conditions=("intact", "action_hidden:at=0"),
        expected_signs={"learner": "+", "lookalike": "any", "still": "0"},
    )
