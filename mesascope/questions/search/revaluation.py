"""Does the first action after a change follow the change, without experience of it?

Half-way through lifetimes of the split 'revalued', the task announces or shows a new worth of outcomes, or a new map of
where actions lead. The metric counts cases in which the previous action is now wrong, and only a look more than one
step ahead shows which action is better. Cached values follow neither change, and a successor representation follows a
new worth but not a new map. Even a subject that follows both need not search: a map from observation to action would do
as well.
"""

from mesascope.contracts import DoesNotApply, Reading, define_metric, get_split_kind
from mesascope.questions.search.reading import count_followed_changes, find_conditions_by_ticks, find_consequences
from mesascope.stats import compute_ratio


@define_metric(
    "Of the actions that an announced change makes wrong, how many follow the change at once?", splits=("revalued",)
)
def metric(trials, references, replay):
    """Of the actions that a change makes wrong, how many follow the change at once?"""
    readings = []
    for split, rollout in trials.items():
        change = rollout.attrs.get("changes")
        if get_split_kind(split) != "revalued" or change is None:
            continue
        for ticks, label in find_conditions_by_ticks(rollout).items():
            counted = count_followed_changes(find_consequences(replay, rollout, label), int(change))
            if counted.total_count.sum():
                reason = (
                    f"{int(counted.total_count.sum())} actions that were correct before the change and are now wrong"
                )
                name = "first act" + (f", {ticks} ticks" if ticks > 1 else "")
                readings.append(Reading(compute_ratio(*counted), split, name, reason=reason))
    if not readings:
        raise DoesNotApply("no action was correct before a change and wrong after it")
    return readings
