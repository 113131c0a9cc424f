"""What metrics of language models share: accuracy and log-odds per trial, under one-step conditions."""

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, replicates

EMPTY, EXCHANGED = "context_emptied_once", "outcomes_exchanged_once:replicate=0"
ASKED = ("intact", EMPTY, EXCHANGED)


def require_answers(trials: xr.Dataset) -> xr.Dataset:
    """The trials, if each has one right answer and was lived with an empty and with an exchanged context.

    Raises:
        DoesNotApply: they have not.
    """
    if "right" not in trials:
        raise DoesNotApply("no answer is the right one")
    for label in ASKED:
        replicates(trials, label)
    return trials


def right_answers(trials: xr.Dataset, label: str) -> np.ndarray:
    """[N, T] whether the answer was right, NaN where none was given."""
    action = trials.action.sel(condition=label).values
    return np.where(action < 0, np.nan, action == trials.right.values)


def calibrate(trials: xr.Dataset, label: str) -> np.ndarray | None:
    """[N, T, K] log-probabilities less what a label has on average over the lifetime's items with an empty context.

    That takes off the liking for a label word and leaves what is known of an item; None where there are none.
    """
    if "log_probs" not in trials:
        return None
    stated, empty = (trials.log_probs.sel(condition=c).values.astype(float) for c in (label, EMPTY))
    if not np.isfinite(stated).all():
        return None
    return stated - empty.mean(1, keepdims=True)


def calibrated_odds(trials: xr.Dataset, label: str) -> np.ndarray | None:
    """[N, T] calibrated log-odds of the right answer against the likeliest other one."""
    stated = calibrate(trials, label)
    if stated is None:
        return None
    right = trials.right.values.astype(int)[..., None] == np.arange(stated.shape[-1])
    return np.where(right, stated, -np.inf).max(-1) - np.where(right, -np.inf, stated).max(-1)


def window_mean(values: np.ndarray, window: slice) -> np.ndarray:
    """[N] the mean over a window of trials, NaN entries left out."""
    part = values[:, window]
    held = np.isfinite(part)
    return np.where(held.any(1), np.where(held, part, 0.0).sum(1) / np.maximum(held.sum(1), 1), np.nan)
