"""What does the subject's next action show about a donor's task, if its carry comes from the donor's lifetime?"""

from mesascope.contracts import Reading, define_metric, select_fresh_trials
from mesascope.questions.spectrum.carried import DELETIONS, TRANSPLANTS, measure_carry_effects
from mesascope.trials import find_reflex_window


@define_metric(
    "After a transplant, what share of the best action's worth on the donor's task does the next action get?",
    conditions=("intact", *DELETIONS, *TRANSPLANTS),
    expected_signs={"learner": "+", "lookalike": "0", "still": "0"},
    is_confirmatory=True,
)
def metric(trials, references, replay):
    """What does the subject's next action show about a donor's task, if its carry comes from the donor's lifetime?

    The strict reading counts only trials for which the donor and the subject acted differently w trials back.
    """
    rollout = select_fresh_trials(trials)
    carried = measure_carry_effects(rollout, find_reflex_window(rollout.sizes["trial"]))
    readings = [Reading(carried.transplant, unit="donor")]
    if len(carried.strict_transplants[0]):
        readings.append(Reading(carried.strict_transplants[0], label="strict", unit="donor"))
    return readings
