"""Does the subject memorise, identify or acquire? The answer depends on whether its error falls on seen or fresh tasks.

Kirsch et al. (2022, arXiv 2212.04458) distinguish the phases of training by whether predictions improve within the
sequence, on training tasks and on other tasks. The improvement is the error on the first trial minus the error in the
last quarter, in units of the chance error. It is positive if the error falls.
"""

import numpy as np

from mesascope.contracts import Reading, define_metric
from mesascope.questions.in_context.predictions import compute_possible_gain, select_splits_with_targets
from mesascope.stats import compute_ratio, compute_standard_error
from mesascope.trials import read_payoffs

SPLITS = ("seen", "fresh")


@define_metric("By how much does the subject's error fall from the first trial to the last quarter?", splits=SPLITS)
def metric(trials, references, replay):
    """By how much does the subject's error fall within a lifetime, on seen and on fresh tasks? A fall is positive."""
    improved, initial = {}, {}
    for split in SPLITS:
        rollout = select_splits_with_targets(trials).get(split)
        if rollout is None:
            continue
        missed, size = rollout.best.values.astype(float) - read_payoffs(rollout), compute_possible_gain(rollout)
        last = slice(-max(rollout.sizes["trial"] // 4, 1), None)
        end = compute_ratio(missed[:, last].sum(-1), size[:, last].sum(-1))
        initial[split] = compute_ratio(missed[:, 0], size[:, 0])
        improved[split] = initial[split] - end
    phase, before = describe_phase(improved, initial), "gain on the first trial"
    readings = [Reading(v, split, "fall of the error", reason=phase) for split, v in improved.items()]
    return readings + [Reading(1.0 - v, split, before) for split, v in initial.items()]


def describe_phase(error_reductions: dict[str, np.ndarray], first_trial_errors: dict[str, np.ndarray]) -> str:
    """Describes the phase in words. An improvement counts if it exceeds two standard errors.

    Args:
        error_reductions: by split, how much the error of each lifetime falls, as a share of the chance error.
        first_trial_errors: by split, the error of each lifetime on the first trial, as a share of the chance error.
    """

    def is_clearly_positive(values: np.ndarray | None) -> bool:
        return values is not None and bool(values.mean() > 2 * compute_standard_error(values))

    fresh, seen = error_reductions.get("fresh"), error_reductions.get("seen")
    if seen is None:
        return "improves on fresh tasks" if is_clearly_positive(fresh) else "does not improve on fresh tasks"
    if fresh is not None and is_clearly_positive(fresh) and fresh.mean() > 0.5 * seen.mean():
        return "acquires: it improves on fresh tasks at least half as much as on seen tasks"
    if is_clearly_positive(seen):
        return "identifies: it improves on seen tasks more than twice as much as on fresh tasks"
    if is_clearly_positive(1.0 - first_trial_errors["seen"]):
        return "memorises: it gains on seen tasks from the first trial on, and improves on neither kind of task"
    return "none of these: it improves on neither kind of task"
