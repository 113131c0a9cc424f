"""What does the subject's next act lose if all but its last few trials are deleted from its past?"""

from mesascope.contracts import Reading, define_metric, select_fresh
from mesascope.questions.spectrum.carried import DELETIONS, TRANSPLANTS, measure_carried
from mesascope.trials import find_reflex_window


@define_metric(
    "What share of what could be gained does the next act lose without trials more than a few back?",
    conditions=("intact", *DELETIONS, *TRANSPLANTS),
    expects={"learner": "+", "lookalike": "0", "still": "0"},
    confirmatory=True,
)
def metric(trials, references, replay):
    """What does the subject's next act lose if all but its last few trials are deleted from its past?

    Of several versions, which keep one, two or a few trials, the one with the smallest loss counts.
    """
    rollout = select_fresh(trials)
    return [Reading(measure_carried(rollout, find_reflex_window(rollout.sizes["trial"])).deletion)]
