"""Do the labels shown override answers from prior knowledge? (Wei et al. 2023, arXiv 2303.03846: flipped labels.)"""

import numpy as np

from mesascope.contracts.metric import Reading, asks, fresh
from mesascope.worlds.words.answers import CONDITIONS, EMPTY, EXCHANGED, average, mark_answers, require_answers


@asks(
    "If it answers wrongly with an empty context, how much more often is it right after true labels?",
    conditions=CONDITIONS,
)
def metric(trials, references, replay):
    """If it answers wrongly with an empty context, how much more often is it right after true labels?"""
    rollout = require_answers(fresh(trials))
    half = slice(rollout.sizes["trial"] // 2, None)
    is_wrong = mark_answers(rollout, EMPTY) == 0
    intact, exchanged = (np.where(is_wrong, mark_answers(rollout, c), np.nan) for c in ("intact", EXCHANGED))
    return [
        Reading(average(intact, half), label="right with true labels", null=0.5),
        Reading(average(intact, half) - average(exchanged, half), label="right because of the true labels"),
    ]
