"""Measures how much a disturbed response differs from the undisturbed response, for the metrics of dependence.

In shapes, N is the number of lifetimes, T of trials, and S of steps in a trial.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from mesascope.contracts import Reading, list_replicates


def make_dependence_readings(trials: xr.Dataset, changes: Mapping[str, str]) -> list[Reading]:
    """Makes readings of the share of choices that change under conditions that disturb one response.

    Args:
        trials: the trials of one split.
        changes: what each condition changes, in words; the keys are the conditions' labels.

    Raises:
        DoesNotApply: one of the conditions in `changes` was not run.
    """
    readings = []
    for label, words in changes.items():
        if trials.attrs.get("actions") == "real" and label.endswith("action=1"):
            continue  # a real action has no alternative to exchange it for
        list_replicates(trials, label)
        readings.append(Reading(measure_choice_change(trials, label), label=words))
        if "log_probs" in trials:
            readings.append(Reading(measure_divergence(trials, label), label=f"{words}, in nats", is_descriptive=True))
    return readings


def measure_dependence(fresh_trials: xr.Dataset) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Measures the shares of choices [N] that change if the percept is exchanged, and if the carry is.

    Each of the two results is a list, with an entry for each condition that was run.

    Raises:
        DoesNotApply: 'percept_exchanged_once:action=0' or 'carry_exchanged_once:fresh=0' was not run.
    """
    for label in ("percept_exchanged_once:action=0", "carry_exchanged_once:fresh=0"):
        list_replicates(fresh_trials, label)
    # only the first condition exists for real actions
    ways = ("percept_exchanged_once:action=0", "percept_exchanged_once:action=1", "percept_swapped_once")
    percept = [measure_choice_change(fresh_trials, way) for way in ways if way in fresh_trials.condition]
    return percept, [measure_choice_change(fresh_trials, f"carry_exchanged_once:fresh={i}") for i in (0, 1)]


def measure_choice_change(trials: xr.Dataset, label: str) -> np.ndarray:
    """Measures the share of choices [N] that change, from the second trial on.

    If there are probabilities, the result is their mean total variation. For real actions, it is the mean size of the
    change, in standard deviations of all undisturbed actions and at most 1. If trials have several steps, the mean runs
    over all steps that took place, except the first step of the lifetime.
    """
    if "log_probs" in trials:
        logs = (trials.log_probs.sel(condition=c).values.astype(float) for c in ("intact", label))
        one, other = map(np.exp, logs)
        moved = 0.5 * np.abs(one - other).sum(-1)
    else:
        one, other = (trials.action.sel(condition=c).values for c in ("intact", label))
        moved = (one != other).astype(float)
        if trials.attrs.get("actions") == "real" and (spread := float(np.nanstd(one))):
            moved = np.minimum(np.abs(one - other) / spread, 1.0)
    return _average_responses(trials, moved)


def _average_responses(trials: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """Averages values [N, T] or [N, T, S] over all responses of a lifetime except the first."""
    if values.ndim == 2:
        return values[:, 1:].mean(-1)
    action = trials.action.sel(condition="intact").values
    valid = np.isfinite(action) & ((action >= 0) | (action.dtype.kind == "f"))
    valid[:, 0, 0] = False
    return np.where(valid, values, 0.0).sum((1, 2)) / np.maximum(valid.sum((1, 2)), 1)


def measure_divergence(trials: xr.Dataset, label: str) -> np.ndarray:
    """Measures the mean divergence KL(undisturbed ‖ disturbed) of each lifetime [N], in nats.

    Log-ratios of probabilities above 20 nats count as 20 nats.
    """
    one, other = (trials.log_probs.sel(condition=c).values.astype(float) for c in ("intact", label))
    with np.errstate(invalid="ignore"):
        terms = np.where(one > -np.inf, np.exp(one) * np.minimum(one - other, 20.0), 0.0)
    return _average_responses(trials, terms.sum(-1))
