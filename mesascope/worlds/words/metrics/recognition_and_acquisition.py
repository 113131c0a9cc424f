"""What does it recognise without being told, and what does it acquire from what it is told?

Recognition is what is left where the labels in the context are other lifetimes' (Min et al. 2022, arXiv 2202.12837:
random labels), acquisition what is lost by that (Pan et al. 2023, 2305.09731). Log-odds and calibrated accuracy are
taken against the empty context (Zhao et al. 2021, 2102.09690, with the lifetime's own items as content).
"""

import numpy as np

from mesascope.contracts.metric import Reading, asks, fresh
from mesascope.worlds.words.answers import (
    ASKED,
    EXCHANGED,
    calibrated_odds,
    require_answers,
    right_answers,
    window_mean,
)

SHOTS = (0, 1, 2, 4, 8, 16)


@asks(
    "How far above chance is it with exchanged labels in the context, and how much do the true ones add?",
    conditions=ASKED,
)
def metric(trials, references, replay):
    """How far above chance is it with exchanged labels in the context, and how much do the true ones add?"""
    lived = require_answers(fresh(trials))
    length = lived.sizes["trial"]
    late = slice(length // 2, None)
    chance = lived.chance.values.mean(1)
    before, after = (right_answers(lived, c) for c in (EXCHANGED, "intact"))
    out = [
        Reading(window_mean(before, late) - chance, label="recognition, accuracy"),
        Reading(window_mean(after, late) - window_mean(before, late), label="acquisition, accuracy"),
    ]
    stated = [calibrated_odds(lived, c) for c in (EXCHANGED, "intact")]
    if stated[0] is not None and stated[1] is not None:
        known, told = ((x > 0) + 0.5 * (x == 0) for x in map(np.asarray, stated))
        out += [
            Reading(window_mean(known, late) - chance, label="recognition, calibrated accuracy"),
            Reading(
                window_mean(told, late) - window_mean(known, late), label="acquisition, calibrated accuracy"
            ),
            Reading(window_mean(stated[0], late), label="recognition, log-odds"),
            Reading(
                window_mean(stated[1], late) - window_mean(stated[0], late), label="acquisition, log-odds"
            ),
        ]
        before, after = known, told
    for shots in (s for s in SHOTS if s < length):
        at = slice(shots, shots + 1)
        out.append(Reading(window_mean(before, at) - chance, label=f"recognition, {shots} shots"))
        out.append(
            Reading(window_mean(after, at) - window_mean(before, at), label=f"acquisition, {shots} shots")
        )
    if length > 8:
        gained = after - before
        rise = window_mean(gained, slice(8, None)) - window_mean(gained, slice(1, 5))
        out.append(Reading(rise, label="growth of acquisition, from 1 to 4 shots to 8 and more"))
    return out
