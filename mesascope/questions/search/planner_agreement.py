"""If a planner and a table of its actions on the training problems differ, which of the two does the subject follow?

The metric uses the first trial on fresh tasks, where the subject observes the whole problem and has no experience of
it. On the training problems, the planner and the table act alike.
"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric
from mesascope.errors import MesascopeError
from mesascope.questions.search.reading import find_consequences, find_correct_actions
from mesascope.stats import compute_ratio


@define_metric("Where a planner and a table of its actions differ, how often does the subject act like the planner?")
def metric(trials, references, replay):
    """Where a planner and a table of its actions differ, how often does the subject act like the planner?"""
    rollout = trials.get("fresh")
    if rollout is None:
        raise DoesNotApply("there are no lifetimes on fresh tasks")
    consequences = find_consequences(replay, rollout)
    family = replay.make_family(rollout)
    if family.bank_label is None or not consequences.has_goal:
        raise DoesNotApply("there is no bank of training problems, so there is no table of a planner's actions on them")
    try:
        cached = replay(family.references["locator"], rollout).action
    except MesascopeError as error:
        raise DoesNotApply(error.problem) from None
    cached = np.asarray(cached).reshape(consequences.action.shape)[:, :1]
    first = consequences._replace(action=consequences.action[:, :1], values=consequences.values[:, :1])
    right, eligible = find_correct_actions(first)
    wrong = ~find_correct_actions(first._replace(action=cached))[0]
    eligible = eligible & wrong & consequences.is_observed[:, :1, None]
    if not eligible.any():
        raise DoesNotApply("the planner and the table of its actions never differ on fresh tasks")
    counted = [x.sum((1, 2)).astype(float) for x in (right & eligible, eligible)]
    reason = f"{int(eligible.sum())} actions on which planner and table differ; 0 is the table, 1 the planner"
    return [Reading(compute_ratio(*counted), "fresh", null=0.5, reason=reason)]
