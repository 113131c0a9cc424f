"""How many steps ahead does the subject choose well, on the first trial of fully observed problems?

The metric groups the subject's actions on the first trial of fresh tasks by their depth: how many steps ahead a planner
must look to find a best action. A map from problem to action that was learnt in training also chooses well, so the axis
`search` requires further evidence.
"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric
from mesascope.questions.search.reading import (
    ActionCounts,
    count_correct_by_depth,
    find_conditions_by_ticks,
    find_consequences,
)
from mesascope.stats import compute_ratio

MAX_SEPARATE_DEPTH = 8  # each depth up to this has a bin of its own; the next bins are 9 to 16, 17 to 32 and so on
TICKS = 8  # the number of ticks that is compared with one tick


@define_metric(
    "How often is the subject's first action on fresh tasks a best one, by how many steps it must look ahead?",
    conditions=("intact", f"thinking:ticks={TICKS}"),
)
def metric(trials, references, replay):
    """How often is the subject's first action on fresh tasks a best one, for each depth that it must look ahead?"""
    if "fresh" not in trials:
        raise DoesNotApply("there are no lifetimes on fresh tasks")
    rollout, readings = trials["fresh"], []
    for ticks, label in find_conditions_by_ticks(rollout).items():
        if ticks not in (1, TICKS):
            continue
        consequences = find_consequences(replay, rollout, label)
        if not consequences.has_goal:
            raise DoesNotApply("the family has no goal to pursue, so no action leads to better outcomes than another")
        best = consequences.values[:, 0] >= consequences.values[:, 0].max(-1, keepdims=True) - 1e-9
        chance = float(best.mean(-1)[np.ptp(consequences.values[:, 0], -1) > 1e-9].mean())
        for far, counted in _bin_depths(count_correct_by_depth(consequences)).items():
            if counted.total_count.sum():
                text = f"{far} ahead" + (f", {ticks} ticks" if ticks > 1 else "")
                readings.append(Reading(compute_ratio(*counted), "fresh", text, null=chance))
    if not readings:
        raise DoesNotApply("the first trial does not show where actions lead")
    return readings


def _bin_depths(counts_by_depth: dict[int, ActionCounts]) -> dict[str, ActionCounts]:
    """Groups counts by depth into 1, 2, … 8 steps, 9 to 16, 17 to 32 and so on, smallest depth first."""
    bins: dict[str, ActionCounts] = {}
    for far, counted in sorted(counts_by_depth.items()):
        low = 1 << (far - 1).bit_length() - 1 if far > MAX_SEPARATE_DEPTH else far
        name = f"{low + 1} to {2 * low} steps" if far > MAX_SEPARATE_DEPTH else f"{far} step{'s' * (far > 1)}"
        nearer = bins.get(name)
        bins[name] = (
            ActionCounts(nearer.correct_count + counted.correct_count, nearer.total_count + counted.total_count)
            if nearer
            else counted
        )
    return bins
