"""Helpers of metrics of language models: they compute accuracy and log-odds per trial under one-step conditions."""

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, replicates

EMPTY, EXCHANGED = "context_emptied_once", "outcomes_exchanged_once:replicate=0"
CONDITIONS = ("intact", EMPTY, EXCHANGED)


def require_answers(trials: xr.Dataset) -> xr.Dataset:
    """Returns the trials if they have right answers and were run with an empty and with an exchanged context.

    Raises:
        DoesNotApply: one of these is missing.
    """
    if "right" not in trials:
        raise DoesNotApply("the trials have no right answers")
    for label in CONDITIONS:
        replicates(trials, label)
    return trials


def mark_answers(trials: xr.Dataset, label: str) -> np.ndarray:
    """[N, T] whether the answer was right; NaN if there was none."""
    action = trials.action.sel(condition=label).values
    return np.where(action < 0, np.nan, action == trials.right.values)


def calibrate(trials: xr.Dataset, label: str) -> np.ndarray | None:
    """[N, T, K] log-probabilities minus each label's mean with an empty context over the lifetime's items.

    This removes the preference for a label word and leaves the knowledge of an item. It returns None if
    log-probabilities are missing or not finite.
    """
    if "log_probs" not in trials:
        return None
    log_probs, empty = (trials.log_probs.sel(condition=c).values.astype(float) for c in (label, EMPTY))
    if not np.isfinite(log_probs).all():
        return None
    return log_probs - empty.mean(1, keepdims=True)


def calibrate_odds(trials: xr.Dataset, label: str) -> np.ndarray | None:
    """[N, T] calibrated log-odds of the right answer against the likeliest other one; None where `calibrate` is."""
    log_probs = calibrate(trials, label)
    if log_probs is None:
        return None
    right = trials.right.values.astype(int)[..., None] == np.arange(log_probs.shape[-1])
    return np.where(right, log_probs, -np.inf).max(-1) - np.where(right, -np.inf, log_probs).max(-1)


def average(values: np.ndarray, window: slice) -> np.ndarray:
    """[N] the mean over a window of trials, ignoring NaN."""
    chosen = values[:, window]
    finite = np.isfinite(chosen)
    return np.where(finite.any(1), np.where(finite, chosen, 0.0).sum(1) / np.maximum(finite.sum(1), 1), np.nan)
