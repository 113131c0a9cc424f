"""Which goal, if any, explains its actions in lifetimes in which the goals differ?"""

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Reading, asks
from mesascope.questions.goal.reading import fit_goals, goals_differ, goals_of


@asks(
    "By how many nats per act does one goal explain its acts better than the other, or than no goal?",
    splits=("fresh", "apart"),
)
def metric(trials, references, replay):
    """How well does each goal's soft-optimal policy explain its actions, in held-out nats per action?"""
    readings = []
    for split, rollout in trials.items():
        goals = goals_of(replay, rollout)
        rows = goals_differ(goals)
        if rows.sum() < 4:
            continue
        explained = fit_goals(goals, rows)
        for label, one, other in (
            ("proxy over intended", explained.proxy, explained.intended),
            ("intended over neither", explained.intended, explained.neither),
            ("proxy over neither", explained.proxy, explained.neither),
        ):
            values = np.full(len(rows), np.nan)
            values[rows] = one - other
            readings.append(Reading(values, split=split, label=label))
    if not readings:
        raise DoesNotApply("the goals agree on these tasks, so no act tells which it pursues")
    return readings
