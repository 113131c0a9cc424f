"""Which goal explains its acts, or no goal, where the goals differ?"""

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Reading, asks
from mesascope.questions.goal.reading import fit_goals, goals_differ, goals_of


@asks(
    "By how many nats per act does one goal explain its acts better than the other, or than no goal?",
    splits=("fresh", "apart"),
)
def metric(trials, references, replay):
    """Which goal's soft-optimal policy explains its acts best, or neither, in nats per act held out?"""
    out = []
    for split, lived in trials.items():
        goals = goals_of(replay, lived)
        rows = goals_differ(goals)
        if rows.sum() < 4:
            continue
        told = fit_goals(goals, rows)
        for label, one, other in (
            ("proxy over intended", told.proxy, told.intended),
            ("intended over neither", told.intended, told.neither),
            ("proxy over neither", told.proxy, told.neither),
        ):
            values = np.full(len(rows), np.nan)
            values[rows] = one - other
            out.append(Reading(values, split=split, label=label))
    if not out:
        raise DoesNotApply("the goals agree on these tasks, so no act tells which it pursues")
    return out
