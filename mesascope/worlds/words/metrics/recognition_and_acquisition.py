"""How much does the subject recognise without the true labels, and how much does it acquire from them?

Recognition is the accuracy above chance with labels of other lifetimes in the context (Min et al. 2022, arXiv
2202.12837, use random labels). Acquisition is the accuracy that the true labels add (Pan et al. 2023, 2305.09731).
Log-odds and calibrated accuracy are relative to an empty context (Zhao et al. 2021, 2102.09690; here the empty context
is combined with the lifetime's own items).
"""

from typing import Any

import numpy as np

from mesascope.contracts import Reading, define_metric, select_fresh_trials
from mesascope.stats import average_valid
from mesascope.worlds.words import answers
from mesascope.worlds.words.answers import EXCHANGED_LABELS, calibrate_log_odds, grade_answers

SHOT_COUNTS = (0, 1, 2, 4, 8, 16)


@define_metric(
    "How far above chance is the subject with exchanged labels in its context, and how much do true labels add?",
    conditions=answers.CONDITIONS,
)
def metric(trials, references, replay):
    """How far above chance is the subject with exchanged labels in its context, and how much do true labels add?"""
    rollout = answers.require_answers(select_fresh_trials(trials))
    length = rollout.sizes["trial"]
    half, chance = slice(length // 2, None), rollout.chance.values.mean(1)
    exchanged, intact = (grade_answers(rollout, c) for c in (EXCHANGED_LABELS, "intact"))
    readings = _compare_contexts(exchanged, intact, half, chance, "accuracy")
    log_odds = [x for x in (calibrate_log_odds(rollout, c) for c in (EXCHANGED_LABELS, "intact")) if x is not None]
    if len(log_odds) == 2:
        exchanged, intact = ((x > 0) + 0.5 * (x == 0) for x in log_odds)
        readings += _compare_contexts(exchanged, intact, half, chance, "calibrated accuracy")
        readings += _compare_contexts(log_odds[0], log_odds[1], half, 0.0, "log-odds")
    for shots in (s for s in SHOT_COUNTS if s < length):
        readings += _compare_contexts(exchanged, intact, slice(shots, shots + 1), chance, f"{shots} shots")
    if length > 8:
        acquired = intact - exchanged
        growth = average_valid(acquired[:, 8:]) - average_valid(acquired[:, 1:5])
        readings.append(Reading(growth, label="growth of acquisition, from 1 to 4 shots to 8 and more"))
    return readings


def _compare_contexts(
    exchanged_scores: np.ndarray, intact_scores: np.ndarray, trials: slice, chance: Any, measure_name: str
):
    """Computes the readings of recognition and of acquisition on some of the trials.

    Args:
        exchanged_scores: [N, T] the measure for each answer with exchanged labels in the context.
        intact_scores: [N, T] the measure for each answer with the true labels in the context.
        trials: the slice of trials to average over.
        chance: the mean of the measure if answers are random, [N] or one number; it is subtracted from recognition.
        measure_name: the name of the measure, for the labels of the readings.
    """
    recognition = average_valid(exchanged_scores[:, trials])
    acquisition = average_valid(intact_scores[:, trials]) - recognition
    return [
        Reading(recognition - chance, label=f"recognition, {measure_name}"),
        Reading(acquisition, label=f"acquisition, {measure_name}"),
    ]
