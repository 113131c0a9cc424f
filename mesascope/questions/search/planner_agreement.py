"""Where a planner and a table of what it does on the training problems differ, whom does it go with?

Asked at the first trial on fresh tasks, where all is shown and nothing was lived through. On the training problems both
do the same, and there the question has no answer.
"""

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Reading, asks
from mesascope.errors import MesascopeError
from mesascope.questions.search.reading import plans_of, right_acts
from mesascope.stats import ratio


@asks("Where a planner and its cached clone differ on fresh tasks, how often does it act as the planner?")
def metric(trials, references, replay):
    """Where a planner and its cached clone differ on fresh tasks, how often does it act as the planner?"""
    lived = trials.get("fresh")
    if lived is None:
        raise DoesNotApply("there are no lifetimes on fresh tasks")
    plan = plans_of(replay, lived)
    family = replay.home(lived)
    if family.bank is None or not plan.goal:
        raise DoesNotApply(
            "there is no bank of training problems, so no table of what a planner does on them"
        )
    try:
        cached = replay(family.references["locator"], lived).action
    except MesascopeError as error:
        raise DoesNotApply(error.problem) from None
    cached = np.asarray(cached).reshape(plan.action.shape)[:, :1]
    first = plan._replace(action=plan.action[:, :1], values=plan.values[:, :1])
    right, asked = right_acts(first)
    wrong = ~right_acts(first._replace(action=cached))[0]
    asked = asked & wrong & plan.shown[:, :1, None]
    if not asked.any():
        raise DoesNotApply("planner and clone never differ there")
    counted = [x.sum((1, 2)).astype(float) for x in (right & asked, asked)]
    told = f"{int(asked.sum())} acts in which the two differ; 0 is the clone, 1 the planner"
    return [Reading(ratio(*counted), "fresh", null=0.5, reason=told)]
