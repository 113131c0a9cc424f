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
    calibrated_odds,
    require_answers,
    right_answers,
    window_mean,
)

SHOTS = (0, 1, 2, 4, 8, 16)


@asks(
    "How far above chance is it with exchanged labels in the context, and how much do the true ones add?",
    conditions=CONDITIONS,
)
def metric(trials, references, replay):
    """How far above chance is it with exchanged labels in the context, and how much do the true ones add?"""
    selected = require_answers(fresh(trials))
    length = selected.sizes["trial"]
    late = slice(length // 2, None)
    chance = selected.chance.values.mean(1)
    before, after = (right_answers(selected, c) for c in (EXCHANGED, "intact"))
    readings = [
        Reading(window_mean(before, late) - chance, label="recognition, accuracy"),
        Reading(window_mean(after, late) - window_mean(before, late), label="acquisition, accuracy"),
    ]
    log_odds = [calibrated_odds(selected, c) for c in (EXCHANGED, "intact")]
    if log_odds[0] is not None and log_odds[1] is not None:
        recognised, intact = ((x > 0) + 0.5 * (x == 0) for x in map(np.asarray, log_odds))
        readings += [
            Reading(window_mean(recognised, late) - chance, label="recognition, calibrated accuracy"),
            Reading(
                window_mean(intact, late) - window_mean(recognised, late), label="acquisition, calibrated accuracy"
            ),
            Reading(window_mean(log_odds[0], late), label="recognition, log-odds"),
            Reading(window_mean(log_odds[1], late) - window_mean(log_odds[0], late), label="acquisition, log-odds"),
        ]
        before, after = recognised, intact
    for shots in (s for s in SHOTS if s < length):
        at = slice(shots, shots + 1)
        readings.append(Reading(window_mean(before, at) - chance, label=f"recognition, {shots} shots"))
        readings.append(Reading(window_mean(after, at) - window_mean(before, at), label=f"acquisition, {shots} shots"))
    if length > 8:
        acquired = after - before
        rise = window_mean(acquired, slice(8, None)) - window_mean(acquired, slice(1, 5))
        readings.append(Reading(rise, label="growth of acquisition, from 1 to 4 shots to 8 and more"))
    return readings
