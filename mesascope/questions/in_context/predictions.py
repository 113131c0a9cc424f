"""Predictions of the subject and of procedures along the subject's lifetimes, for metrics of in-context prediction.

In shapes, N is the number of lifetimes, T of trials, and K of choices.
"""

import contextlib
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, NamesPredictors
from mesascope.errors import MesascopeError
from mesascope.stats import compute_ratio

SPLITS = ("seen", "fresh", "shifted")


def select_splits_with_targets(trials: Any) -> dict[str, xr.Dataset]:
    """Selects the trials of the splits that record the targets of prediction.

    Raises:
        DoesNotApply: no split records targets of prediction.
    """
    splits = {split: rollout for split, rollout in trials.items() if "target" in rollout}
    if not splits:
        raise DoesNotApply("the trials do not record the targets of prediction")
    return splits


def find_predictions(trials: xr.Dataset, replay: Any) -> np.ndarray:
    """Finds the subject's predictions in undisturbed lifetimes: numbers [N, T], or probabilities [N, T, K].

    If probabilities were not recorded, the subject is replayed to obtain them.

    Raises:
        DoesNotApply: the subject makes choices and gives no probabilities.
    """
    if trials.attrs.get("actions") == "real":
        return trials.action.sel(condition="intact").values.astype(float)
    if "log_probs" in trials:
        return np.exp(trials.log_probs.sel(condition="intact").values.astype(float))
    predictions = None if getattr(replay, "subject", None) is None else predict_along(replay, "itself", trials)
    if predictions is None or predictions.ndim < 3:  # choices alone
        raise DoesNotApply("it gives no probabilities for its predictions")
    return predictions


def predict_along(replay: Any, procedure: str, trials: xr.Dataset) -> np.ndarray:
    """Replays a procedure or the subject ('itself') along recorded lifetimes, and returns its predictions.

    They have the form that `find_predictions` returns.

    Raises:
        MesascopeError: the procedure does not apply, for example because it needs a bank.
    """
    answer = replay(procedure, trials)
    if answer.log_probs is not None:
        return np.exp(np.asarray(answer.log_probs, float))
    return np.asarray(answer.action, float)


def flatten_predictions(predictions: np.ndarray) -> np.ndarray:
    """Reshapes predictions to [N, all other axes]."""
    return predictions.reshape(len(predictions), -1)


def measure_distance(predictions: np.ndarray, other_predictions: np.ndarray, trials: xr.Dataset) -> np.ndarray:
    """Measures each lifetime's distance [N] between two predictions.

    For probabilities, it is the total variation between them, averaged over trials. For numbers, it is their squared
    difference, as a share of the squared error of a prediction by chance.
    """
    if predictions.ndim == 3:
        return (0.5 * np.abs(predictions - other_predictions).sum(-1)).mean(-1)
    return compute_ratio(np.square(predictions - other_predictions).sum(-1), compute_possible_gain(trials).sum(-1))


def compute_possible_gain(trials: xr.Dataset) -> np.ndarray:
    """Computes by how much the score of the best prediction exceeds the score by chance [N, T]."""
    return (trials.best - trials.chance).values.astype(float)


def predict_with_procedures(family: Any, replay: Any, trials: xr.Dataset) -> dict[str, np.ndarray]:
    """Replays the family's applicable reference procedures along recorded lifetimes; returns predictions by name."""
    references = [family.references[role] for role in ("learner", "locator") if family.references.get(role)]
    predictors = family.predictors if isinstance(family, NamesPredictors) else ()
    predictions = {}
    for name in dict.fromkeys((*predictors, *references)):
        with contextlib.suppress(MesascopeError):  # without a bank there is no locator
            predictions[name] = predict_along(replay, name, trials)
    return predictions
