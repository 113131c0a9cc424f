"""Where does the subject stand between the ideal locator of its bank (0) and any learner (1)?"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric
from mesascope.questions.spectrum.position import MAX_LOCATOR_RETENTION, compute_position, compute_retention_shares
from mesascope.stats import linearise
from mesascope.trials import measure_gain


@define_metric(
    "Where does the subject stand between the ideal locator of its bank (0) and any learner (1)?",
    splits=("seen",),
    references=("learner", "locator"),
    is_confirmatory=True,
)
def metric(trials, references, replay):
    """Where does the subject stand between the ideal locator of its bank (0) and any learner (1)?"""
    if "seen" not in trials or not str(trials["seen"].attrs.get("trained_on")).startswith("bank:"):
        raise DoesNotApply("it was not trained on a known bank, so there are no tasks to locate")
    if "locator" not in references or "learner" not in references:
        raise DoesNotApply("the ideal locator and the learner were not run on these tasks")
    sources = (trials, references["learner"], references["locator"])
    parts = np.stack([measure_gain(rollouts[split])[0] for split in ("fresh", "seen") for rollouts in sources])
    if (parts.mean(1)[[1, 3, 4, 5]] <= 0).any():  # subject and locator may have a negative gain on fresh tasks
        raise DoesNotApply("it gains nothing on seen tasks, or a reference gains nothing on seen or on fresh tasks")
    lam = compute_retention_shares(parts.mean(1))[1]
    if lam >= MAX_LOCATOR_RETENTION:
        raise DoesNotApply(
            f"this bank cannot distinguish locating from acquiring: its ideal locator keeps {lam:.2f} on fresh tasks"
        )
    rho, lam = (linearise(lambda m, i=i: compute_retention_shares(m)[i], parts) for i in (0, 1))
    return [
        Reading(linearise(compute_position, parts), label="position"),
        Reading(rho, label="kept on fresh tasks", null=1.0),
        Reading(lam, label="kept by the ideal locator", null=1.0),
    ]
