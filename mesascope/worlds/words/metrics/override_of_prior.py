"""Do the labels shown override answers from prior knowledge? (Wei et al. 2023, arXiv 2303.03846: flipped labels.)"""

import numpy as np

from mesascope.contracts.metric import Reading, asks, fresh
from mesascope.worlds.words.answers import CONDITIONS, EMPTY, EXCHANGED, require_answers, right_answers, window_mean


@asks(
    "If it answers wrongly with an empty context, how much more often is it right after true labels?",
    conditions=CONDITIONS,
)
def metric(trials, references, replay):
    """If it answers wrongly with an empty context, how much more often is it right after true labels?"""
    selected = require_answers(fresh(trials))
    late = slice(selected.sizes["trial"] // 2, None)
    wrong = right_answers(selected, EMPTY) == 0
    intact, exchanged = (np.where(wrong, right_answers(selected, c), np.nan) for c in ("intact", EXCHANGED))
    return [
        Reading(window_mean(intact, late), label="right after all", null=0.5),
        Reading(window_mean(intact, late) - window_mean(exchanged, late), label="right by what was told"),
    ]
