"""Does the first act after a change go with it, with nothing lived through in between?

Half-way on the splits 'revalued' the worth of what acts lead to, or where they lead, is announced or shown. Counted are
acts that were right until then, are wrong now, and could not be told by the next step. Cached values follow neither
change, a successor representation follows a new worth and no new map. To follow both is no evidence of search: a map
from what is shown to an act does too.
"""

from mesascope.contracts.metric import DoesNotApply, Reading, asks
from mesascope.contracts.split import kind
from mesascope.questions.search.reading import follow_change, plans_of, ticks_of
from mesascope.stats import ratio


@asks("Of the acts that an announced change makes wrong, how many go with it at once?", splits=("revalued",))
def metric(trials, references, replay):
    """Of the acts that a change makes wrong, how many go with it at once?"""
    out = []
    for split, lived in trials.items():
        change = lived.attrs.get("changes")
        if kind(split) != "revalued" or change is None:
            continue
        for label in (c for c in lived.condition.values.tolist() if ticks_of(c)):
            counted = follow_change(plans_of(replay, lived, label), int(change))
            ticks = ticks_of(label)
            if counted.asked.sum():
                told = f"{int(counted.asked.sum())} acts that were right until then and now are wrong"
                name = "first act" + (f", {ticks} ticks" if ticks > 1 else "")
                out.append(Reading(ratio(*counted), split, name, reason=told))
    if not out:
        raise DoesNotApply("no act was right until a change and wrong after it")
    return out
