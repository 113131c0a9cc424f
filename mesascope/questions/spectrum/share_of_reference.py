"""On each split, what share of the best reference procedure's gain does the subject reach on the same tasks?"""

from mesascope.contracts import DoesNotApply, Reading, define_metric
from mesascope.stats import compute_ratio
from mesascope.trials import measure_gain


@define_metric(
    "What share of the best reference procedure's gain over chance does the subject reach on the same tasks?",
    splits=("seen", "fresh", "shifted", "exchanged", "restructured", "horizon"),
    references=("learner", "discounting"),
    is_confirmatory=True,
)
def metric(trials, references, replay):
    """On each split, what share of the best reference procedure's gain does the subject reach on the same tasks?"""
    readings = []
    for split, rollout in trials.items():
        reference_gains = {}
        for role, splits in references.items():
            if role in ("learner", "discounting") and split in splits:
                reference = splits[split]
                for label in reference.condition.values.tolist():
                    reference_gains[f"{reference.attrs['subject']}, {label}"] = measure_gain(reference, label)[0]
        name = max(reference_gains, key=lambda name: reference_gains[name].sum(), default=None)
        if name is None or reference_gains[name].sum() <= 0:
            continue
        share = compute_ratio(measure_gain(rollout)[0], reference_gains[name])
        descriptive = not rollout.attrs.get("counted", True)
        readings.append(Reading(share, split=split, reason=f"best reference: {name}", is_descriptive=descriptive))
    if not readings:
        raise DoesNotApply("no reference procedure that gains more than chance was run on these tasks")
    return readings
