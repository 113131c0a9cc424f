"""On each split, what share of the best reference procedure's gain does it reach on the same tasks?"""

from __future__ import annotations

from mesascope.contracts.metric import DoesNotApply, Metric, Reading
from mesascope.stats import ratio
from mesascope.trials import gain


def metric() -> Metric:
    """On each split, what share of the best reference procedure's gain does it reach on the same tasks?"""

    def measure(trials, references, replay):
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

    return Metric(
        name="share_of_reference",
        question="What share of the best reference procedure's gain over chance does it reach on the same tasks?",
        measure=measure,
        splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon"),
        references=("learner", "discounting"),
        expects={"learner": "any", "lookalike": "any", "still": "any"},
        confirmatory=True,
    )
