"""What does the subject's next action lose if the subject knows only its last few trials?"""

from mesascope.contracts import Reading, define_metric, select_fresh_trials
from mesascope.questions.spectrum.carried import DELETIONS, TRANSPLANTS, measure_carry_effects
from mesascope.trials import find_reflex_window


@define_metric(
    "What share of the possible gain does the next action lose if the subject knows only its last few trials?",
    conditions=("intact", *DELETIONS, *TRANSPLANTS),
    expected_signs={"learner": "+", "lookalike": "0", "still": "0"},
    is_confirmatory=True,
)
def metric(trials, references, replay):
    """What does the subject's next action lose if the subject knows only its last few trials?

    There are versions that keep one, two or all of these last trials; the version with the smallest loss counts.
    """
    rollout = select_fresh_trials(trials)
    return [Reading(measure_carry_effects(rollout, find_reflex_window(rollout.sizes["trial"])).deletion)]
