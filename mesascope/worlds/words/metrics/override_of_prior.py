"""Does what it is told override what it would answer by itself? (Wei et al. 2023, arXiv 2303.03846: flipped labels.)"""

import numpy as np

from mesascope.contracts.metric import Reading, asks, fresh
from mesascope.worlds.words.answers import (
    ASKED,
    EMPTY,
    EXCHANGED,
    require_answers,
    right_answers,
    window_mean,
)


@asks(
    "Where it answers wrongly with an empty context, how much oftener is it right after true labels?",
    conditions=ASKED,
)
def metric(trials, references, replay):
    """Where it answers wrongly with an empty context, how much oftener is it right after true labels?"""
    lived = require_answers(fresh(trials))
    late = slice(lived.sizes["trial"] // 2, None)
    wrong = right_answers(lived, EMPTY) == 0
    told, exchanged = (np.where(wrong, right_answers(lived, c), np.nan) for c in ("intact", EXCHANGED))
    return [
        Reading(window_mean(told, late), label="right after all", null=0.5),
        Reading(window_mean(told, late) - window_mean(exchanged, late), label="right by what was told"),
    ]
