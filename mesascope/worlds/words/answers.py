"""Helpers for metrics of language models: they compute accuracy and log-odds per trial under one-step conditions."""

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, list_replicates

EMPTY_CONTEXT, EXCHANGED_LABELS = "context_emptied_once", "outcomes_exchanged_once:replicate=0"
CONDITIONS = ("intact", EMPTY_CONTEXT, EXCHANGED_LABELS)


def require_answers(trials: xr.Dataset) -> xr.Dataset:
    """Returns the trials if they contain the correct answers and all `CONDITIONS`.

    Raises:
        DoesNotApply: the correct answers or one of the conditions are missing.
    """
    if "right" not in trials:
        raise DoesNotApply("the trials have no correct answers")
    for label in CONDITIONS:
        list_replicates(trials, label)
    return trials


def grade_answers(trials: xr.Dataset, condition: str) -> np.ndarray:
    """Returns 1 where the answer was correct, 0 where it was wrong, and NaN where there was no answer, [N, T]."""
    action = trials.action.sel(condition=condition).values
    return np.where(action < 0, np.nan, action == trials.right.values)


def calibrate_log_odds(trials: xr.Dataset, condition: str) -> np.ndarray | None:
    """Computes calibrated log-odds [N, T] of the correct label against the most probable other label.

    Calibration subtracts each label's mean log-probability with an empty context, over the items of the lifetime. This
    removes the preference for a label word, but keeps the knowledge about single items. The function returns None if
    log-probabilities are missing, or not all finite under the condition.
    """
    if "log_probs" not in trials:
        return None
    log_probs, empty = (trials.log_probs.sel(condition=c).values.astype(float) for c in (condition, EMPTY_CONTEXT))
    if not np.isfinite(log_probs).all():
        return None
    calibrated = log_probs - empty.mean(1, keepdims=True)
    is_right = trials.right.values.astype(int)[..., None] == np.arange(calibrated.shape[-1])
    return np.where(is_right, calibrated, -np.inf).max(-1) - np.where(is_right, -np.inf, calibrated).max(-1)
