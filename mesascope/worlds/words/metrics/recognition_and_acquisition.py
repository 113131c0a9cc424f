"""How much does it recognise without the true labels, and how much does it acquire from them?

Recognition is the accuracy above chance with labels of other lifetimes in the context (Min et al. 2022, arXiv
2202.12837: random labels); acquisition is what the true labels add (Pan et al. 2023, 2305.09731). Log-odds and
calibrated accuracy are relative to an empty context (Zhao et al. 2021, 2102.09690, with the lifetime's own items).
"""

import numpy as np

from mesascope.contracts.metric import Reading, asks, fresh
from mesascope.worlds.words.answers import (
    CONDITIONS,
    EXCHANGED,
    average,
    calibrate_odds,
    mark_answers,
    require_answers,
)

SHOTS = (0, 1, 2, 4, 8, 16)


@asks(
    "How far above chance is it with exchanged labels in its context, and how much do true labels add?",
    conditions=CONDITIONS,
)
def metric(trials, references, replay):
    """How far above chance is it with exchanged labels in its context, and how much do true labels add?"""
    rollout = require_answers(fresh(trials))
    length = rollout.sizes["trial"]
    half = slice(length // 2, None)
    chance = rollout.chance.values.mean(1)
    before, after = (mark_answers(rollout, c) for c in (EXCHANGED, "intact"))
    readings = [
        Reading(average(before, half) - chance, label="recognition, accuracy"),
        Reading(average(after, half) - average(before, half), label="acquisition, accuracy"),
    ]
    log_odds = [calibrate_odds(rollout, c) for c in (EXCHANGED, "intact")]
    if log_odds[0] is not None and log_odds[1] is not None:
        recognised, intact = ((x > 0) + 0.5 * (x == 0) for x in map(np.asarray, log_odds))
        readings += [
            Reading(average(recognised, half) - chance, label="recognition, calibrated accuracy"),
            Reading(average(intact, half) - average(recognised, half), label="acquisition, calibrated accuracy"),
            Reading(average(log_odds[0], half), label="recognition, log-odds"),
            Reading(average(log_odds[1], half) - average(log_odds[0], half), label="acquisition, log-odds"),
        ]
        before, after = recognised, intact
    for shots in (s for s in SHOTS if s < length):
        at = slice(shots, shots + 1)
        readings.append(Reading(average(before, at) - chance, label=f"recognition, {shots} shots"))
        readings.append(Reading(average(after, at) - average(before, at), label=f"acquisition, {shots} shots"))
    if length > 8:
        acquired = after - before
        rise = average(acquired, slice(8, None)) - average(acquired, slice(1, 5))
        readings.append(Reading(rise, label="growth of acquisition, from 1 to 4 shots to 8 and more"))
    return readings
