"""Does the subject memorise, identify or acquire? This depends on whether its error falls on seen or fresh tasks.

Kirsch et al. (2022, arXiv 2212.04458) distinguish the phases of training by whether predictions improve within the
sequence, on training tasks and on other tasks. The improvement is the error on the first trial minus the error in the
last quarter, in units of the chance error. It is positive if the error falls.
"""

import numpy as np

from mesascope.contracts import Reading, define_metric
from mesascope.questions.in_context.predictions import find_possible_gain, list_splits
from mesascope.stats import compute_ratio, compute_standard_error
from mesascope.trials import read_payoffs

SPLITS = ("seen", "fresh")


@define_metric("By how much does the subject's error fall from the first trial to the last quarter?", splits=SPLITS)
def metric(trials, references, replay):
    """By how much does the subject's error fall within a lifetime, on seen and on fresh tasks? A fall is positive."""
    improved, initial = {}, {}
    for split in SPLITS:
        rollout = list_splits(trials).get(split)
        if rollout is None:
            continue
        missed, size = rollout.best.values.astype(float) - read_payoffs(rollout), find_possible_gain(rollout)
        last = slice(-max(rollout.sizes["trial"] // 4, 1), None)
        end = compute_ratio(missed[:, last].sum(-1), size[:, last].sum(-1))
        initial[split] = compute_ratio(missed[:, 0], size[:, 0])
        improved[split] = initial[split] - end
    phase, before = describe_phase(improved, initial), "gain on the first trial"
    readings = [Reading(v, split, "fall of the error", reason=phase) for split, v in improved.items()]
    return readings + [Reading(1.0 - v, split, before) for split, v in initial.items()]


def describe_phase(improved: dict[str, np.ndarray], initial: dict[str, np.ndarray]) -> str:
    """Describes the phase in words. An improvement counts if it exceeds two standard errors.

    Args:
        improved: the fall of the error [N] on each split.
        initial: the error on the first trial [N] on each split.
    """

    def rises(values: np.ndarray | None) -> bool:
        return values is not None and bool(values.mean() > 2 * compute_standard_error(values))

    fresh, seen = improved.get("fresh"), improved.get("seen")
    if seen is None:
        return "improves on fresh tasks" if rises(fresh) else "does not improve on fresh tasks"
    if fresh is not None and rises(fresh) and fresh.mean() > 0.5 * seen.mean():
        return "acquires: it improves on fresh tasks at least half as much as on seen tasks"
    if rises(seen):
        return "identifies: it improves on seen tasks more than twice as much as on fresh tasks"
    if rises(1.0 - initial["seen"]):
        return "memorises: it gains on seen tasks from the first trial on, and improves on neither kind of task"
    return "none of these: it improves on neither kind of task"
