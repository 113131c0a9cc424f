"""What does the subject's next act show of another lifetime's task, if its older past is that lifetime's?"""

from mesascope.contracts import Reading, define_metric, select_fresh
from mesascope.questions.spectrum.carried import DELETIONS, TRANSPLANTS, measure_carried
from mesascope.trials import find_reflex_window


@define_metric(
    "With another lifetime's older past, what share of that lifetime's best act is the subject's next act worth there?",
    conditions=("intact", *DELETIONS, *TRANSPLANTS),
    expects={"learner": "+", "lookalike": "0", "still": "0"},
    confirmatory=True,
)
def metric(trials, references, replay):
    """What does the subject's next act show of another lifetime's task, if its older past is that lifetime's?

    The strict reading counts only trials on which that lifetime and the subject acted differently a few trials ago.
    """
    rollout = select_fresh(trials)
    carried = measure_carried(rollout, find_reflex_window(rollout.sizes["trial"]))
    readings = [Reading(carried.transplant, unit="donor")]
    if len(carried.strict[0]):
        readings.append(Reading(carried.strict[0], label="strict", unit="donor"))
    return readings
