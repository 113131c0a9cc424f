"""How many bits about its hidden task do its late actions contain from feedback older than a few trials?

The family's tasks have S independent parts (latents `part` and `right`). The information between the right action and
the action taken, summed over parts, is a lower bound on what the carry contains about the task, whatever goal the
subject pursues. A subject that copies its actions from one of M stored tasks has at most log2 M bits. 'Strict' keeps
that bound for a subject that answers the parts of the last trials by reflex and the others from its stored task. The
values are pseudo-values of a jackknife over lifetimes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Reading, Splits, asks, fresh, require_choices, under
from mesascope.questions.spectrum.information import count_pairs, jackknife
from mesascope.questions.spectrum.parts import unseen_parts
from mesascope.trials import reflex_window

SHUFFLED = "feedback_shuffled:older_than={few},replicate=0"


@asks(
    "How many bits about its hidden task do late actions hold, older than a few trials?",
    conditions=("intact", SHUFFLED),
    expects={"learner": "any", "lookalike": "any", "still": "0"},
)
def metric(trials: Splits, references: Mapping[str, Splits], replay: Any) -> Sequence[Reading]:
    """How many bits about its hidden task do its late actions contain from feedback older than a few trials?"""
    data = require_choices(fresh(trials))
    if not {"part", "right"} <= set(data) or "parts" not in data.attrs:
        raise DoesNotApply("the family's tasks do not consist of independent parts")
    intact, window = under(trials, "intact"), reflex_window(data.sizes["trial"])
    readings = [
        Reading(acquired_bits(intact, window), label="older than a few trials"),
        Reading(acquired_bits(intact, window, strict=True), label="strict, for any holder of stored tasks"),
        Reading(acquired_bits(intact, 0), label="in all"),
        Reading(acquired_bits(intact, window, view="part"), label="older, by part", descriptive=True),
        Reading(acquired_bits(intact, window, view="trial"), label="older, by trial", descriptive=True),
    ]
    shuffled = acquired_bits(under(trials, SHUFFLED), window)
    return [*readings, Reading(shuffled, label="older, with older feedback shuffled", descriptive=True)]


def acquired_bits(trials: xr.Dataset, window: int, *, strict: bool = False, view: str = "pooled") -> np.ndarray:
    """Pseudo-values [N], one per lifetime, whose mean is the number of bits.

    Args:
        trials: the trials of one condition, axes lifetime, trial, with `part`, `right` and the attribute `parts`.
        window: a trial counts only if its part did not occur in this number of trials before it; 0 counts all.
        strict: count only the parts that did not occur in the window, instead of scaling up to all parts.
        view: 'pooled' for one table of right action and action taken; 'part' or 'trial' for a table of each.
    """
    part, right = (trials[name].values.astype(int) for name in ("part", "right"))
    length = part.shape[1]
    parts, start = int(trials.attrs["parts"]), 3 * length // 4
    choices = int(trials.sizes.get("choice", 0)) or max(int(trials.action.max()), int(right.max())) + 1
    if "log_probs" in trials and np.isfinite(trials.log_probs.values[:, start:]).any():
        taken = np.exp(np.nan_to_num(trials.log_probs.values, nan=-np.inf))
    else:
        taken = np.eye(choices)[np.maximum(trials.action.values.astype(int), 0)]
    unseen, others = unseen_parts(part, window, parts)
    counts = unseen & (np.arange(length) >= start)
    if not counts.any():
        raise DoesNotApply(f"in the last quarter no part comes that did not come in the {window} trials before")
    cell = {"pooled": np.zeros_like(part), "part": part, "trial": np.broadcast_to(np.arange(length), part.shape)}[view]
    table = count_pairs(right, taken, counts, cell, {"pooled": 1, "part": parts, "trial": length}[view])
    return (others[counts].mean() if strict else parts) * jackknife(table)
