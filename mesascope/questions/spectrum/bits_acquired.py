"""How many bits about the hidden task, from trials more than a few back, do the subject's late actions contain?

The family's tasks have independent parts (latents `part` and `right`). The information between the correct action and
the action taken, summed over parts, is a lower bound on what the carry contains about the task, whatever goal the
subject pursues. A subject that copies its actions from one of M stored tasks shows at most log2 M bits. The reading
'strict' keeps this bound for a subject that acts by reflex on the parts of its last trials, and copies only its other
actions from a stored task. The values are pseudo-values of a jackknife over lifetimes.

If every trial is about all parts, the last trials always say something about every part. For such tasks, the best
action must consist of independent digits, and the bits are measured in actions after a transplant, as bits about the
donor's task.
"""

from mesascope.contracts import (
    DoesNotApply,
    Reading,
    define_metric,
    require_choices,
    select_condition,
    select_fresh_trials,
)
from mesascope.questions.spectrum.parts import measure_bits
from mesascope.questions.spectrum.transplanted_bits import measure_own_bits, measure_transplanted_bits
from mesascope.trials import find_reflex_window

SHUFFLED_FEEDBACK = "feedback_shuffled:older_than={few},replicate=0"


@define_metric(
    "How many bits about the hidden task, from trials more than a few back, do the subject's late actions contain?",
    conditions=("intact", SHUFFLED_FEEDBACK),
    expected_signs={"learner": "any", "lookalike": "any", "still": "0"},
)
def metric(trials, references, replay):
    """How many bits about the hidden task, from trials more than a few back, do the subject's late actions contain?"""
    data = select_fresh_trials(trials)
    if "digits" in data.attrs:
        return _measure_digit_bits(data, find_reflex_window(data.sizes["trial"]))
    data = require_choices(data)
    if not {"part", "right"} <= set(data) or "parts" not in data.attrs:
        raise DoesNotApply("the family's tasks do not consist of independent parts")
    intact, window = select_condition(trials, "intact"), find_reflex_window(data.sizes["trial"])
    readings = [
        Reading(measure_bits(intact, window), label="older than a few trials"),
        Reading(measure_bits(intact, window, is_strict=True), label="strict, for any holder of stored tasks"),
        Reading(measure_bits(intact, 0), label="in all"),
        Reading(measure_bits(intact, window, view="part"), label="older, by part", is_descriptive=True),
        Reading(measure_bits(intact, window, view="trial"), label="older, by trial", is_descriptive=True),
    ]
    shuffled = measure_bits(select_condition(trials, SHUFFLED_FEEDBACK), window)
    return [*readings, Reading(shuffled, label="older, with older feedback shuffled", is_descriptive=True)]


def _measure_digit_bits(trials, window):
    """Makes the readings for families in which the best action consists of independent digits."""
    older, own = measure_transplanted_bits(trials, window), measure_own_bits(trials)
    by_trial = measure_transplanted_bits(trials, window, is_by_trial=True)
    return [
        Reading(older, label="older than a few trials", unit="donor"),
        Reading(own, label="in all"),
        Reading(by_trial, label="older, by trial", unit="donor", is_descriptive=True),
    ]
