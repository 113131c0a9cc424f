"""For tasks with independent parts: finds trials where only older trials can help, and measures bits in actions.

In shapes, N is the number of lifetimes, and T the number of trials.
"""

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply
from mesascope.questions.spectrum.information import count_pairs, jackknife_information

TABLE_VIEWS = ("pooled", "part", "trial", "last")


def find_old_trials(trials: xr.Dataset, window: int) -> np.ndarray | None:
    """Finds the trials whose part did not occur in the `window` trials before them.

    Because parts are independent, the last trials then say nothing about this part, so only older trials can help.

    Returns:
        The mask [N, T], or None if the tasks have no parts (no latent `part`).
    """
    if "part" not in trials:
        return None
    return find_unseen_parts(trials.part.values.astype(int), window, int(trials.part.max()) + 1)[0]


def find_unseen_parts(part: np.ndarray, window: int, part_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the trials whose part was absent from the last trials before them, and counts the absent parts [N, T].

    Args:
        part: [N, T] the part of each trial.
        window: the number of these last trials.
        part_count: the number of parts of a task.
    """
    lifetimes, length = part.shape
    recent = np.zeros((lifetimes, length, part_count), bool)
    for i in range(1, window + 1):
        np.put_along_axis(recent[:, i:], part[:, :-i, None], True, 2)
    return ~np.take_along_axis(recent, part[..., None], 2)[..., 0], part_count - recent.sum(-1)


def measure_bits(trials: xr.Dataset, window: int, *, is_strict: bool = False, view: str = "pooled") -> np.ndarray:
    """Measures the bits about the task in actions of the last quarter: pseudo-values [N] whose mean is the estimate.

    Args:
        trials: the trials of one condition, with the variables `part` and `right` and the attribute `parts`.
        window: a trial counts only if its part did not occur in this number of trials before it; 0 counts all.
        is_strict: whether to multiply the bits about one part by the mean number of parts that did not occur in the
            window, instead of by the number of all parts.
        view: 'pooled' for one table of correct action and action taken; 'part', 'trial' or 'last' for a table per part,
            trial number or last action, which detects a coding of actions that depends on these.

    Raises:
        DoesNotApply: no trial counts.
    """
    part, right = (trials[name].values.astype(int) for name in ("part", "right"))
    length = part.shape[1]
    parts, start = int(trials.attrs["parts"]), 3 * length // 4
    choices = int(trials.sizes.get("choice", 0)) or max(int(trials.action.max()), int(right.max())) + 1
    if "log_probs" in trials and np.isfinite(trials.log_probs.values[:, start:]).any():
        taken = np.exp(np.nan_to_num(trials.log_probs.values, nan=-np.inf))
    else:
        taken = np.eye(choices)[np.maximum(trials.action.values.astype(int), 0)]
    unseen, others = find_unseen_parts(part, window, parts)
    counts = unseen & (np.arange(length) >= start)
    if not counts.any():
        raise DoesNotApply(f"in the last quarter, every trial's part also occurs in the {window} trials before it")
    cell, cells = {
        "pooled": (np.zeros_like(part), 1),
        "part": (part, parts),
        "trial": (np.broadcast_to(np.arange(length), part.shape), length),
        "last": (np.roll(np.maximum(trials.action.values.astype(int), 0), 1, 1), choices),
    }[view]
    table = count_pairs(right, taken, counts, cell, cells)
    return (others[counts].mean() if is_strict else parts) * jackknife_information(table)
