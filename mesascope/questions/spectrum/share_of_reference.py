"""On each split, what share of the best reference procedure's gain does it reach on the same tasks?"""

from mesascope.contracts.metric import DoesNotApply, Reading, asks
from mesascope.stats import ratio
from mesascope.trials import gain


@asks(
    "What share of the best reference procedure's gain over chance does it reach on the same tasks?",
    splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon"),
    references=("learner", "discounting"),
    confirmatory=True,
)
def metric(trials, references, replay):
    """On each split, what share of the best reference procedure's gain does it reach on the same tasks?"""
    out = []
    for split, lived in trials.items():
        there = {}
        for role, splits in references.items():
            if role in ("learner", "discounting") and split in splits:
                for label in splits[split].condition.values.tolist():
                    there[f"{splits[split].attrs['subject']}, {label}"] = gain(splits[split], label)[0]
        if not there:
            continue
        name = max(there, key=lambda k: there[k].sum())
        if there[name].sum() <= 0:
            continue
        share, aside = ratio(gain(lived)[0], there[name]), not lived.attrs.get("counted", True)
        out.append(Reading(share, split=split, reason=f"best reference: {name}", descriptive=aside))
    if not out:
        raise DoesNotApply("no reference procedure was run on these tasks")
    return out
