"""Do the labels shown override prior knowledge? (Wei et al. 2023, arXiv 2303.03846, with flipped labels)"""

import numpy as np

from mesascope.contracts import Reading, define_metric, select_fresh_trials
from mesascope.stats import average_valid
from mesascope.worlds.words.answers import CONDITIONS, EMPTY_CONTEXT, EXCHANGED_LABELS, grade_answers, require_answers


@define_metric(
    "On items answered wrongly with an empty context, how often is the answer correct because of the true labels?",
    conditions=CONDITIONS,
)
def metric(trials, references, replay):
    """On items answered wrongly with an empty context, how often is the answer correct because of the true labels?"""
    rollout = require_answers(select_fresh_trials(trials))
    half = rollout.sizes["trial"] // 2
    is_wrong = grade_answers(rollout, EMPTY_CONTEXT) == 0
    answers = (np.where(is_wrong, grade_answers(rollout, c), np.nan) for c in ("intact", EXCHANGED_LABELS))
    intact, exchanged = (average_valid(x[:, half:]) for x in answers)
    return [
        Reading(intact, label="right with true labels", null=0.5),
        Reading(intact - exchanged, label="right because of the true labels"),
    ]
