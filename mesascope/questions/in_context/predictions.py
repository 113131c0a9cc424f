"""Predictions of the subject and of procedures along the subject's lifetimes, for metrics of in-context prediction."""

from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.capabilities import NamesPredictors
from mesascope.contracts.metric import DoesNotApply
from mesascope.errors import MesascopeError
from mesascope.stats import ratio

KINDS = ("seen", "fresh", "shifted")


def list_splits(trials: Any) -> dict[str, xr.Dataset]:
    """The splits whose trials record the target of prediction.

    Raises:
        DoesNotApply: no split records targets.
    """
    splits = {split: rollout for split, rollout in trials.items() if "target" in rollout}
    if not splits:
        raise DoesNotApply("the trials do not record what should have been predicted")
    return splits


def find_predictions(trials: xr.Dataset, replay: Any) -> np.ndarray:
    """The subject's predictions in undisturbed lifetimes: numbers [N, T], or probabilities [N, T, K].

    Probabilities that were not recorded are replayed if possible.

    Raises:
        DoesNotApply: the subject makes choices and gives no probabilities.
    """
    if trials.attrs.get("actions") == "real":
        return trials.action.sel(condition="intact").values.astype(float)
    if "log_probs" not in trials and getattr(replay, "itself", None) is not None:
        return predict_along(replay, "itself", trials)
    if "log_probs" not in trials:
        raise DoesNotApply("it gives no probabilities of what it predicts")
    return np.exp(trials.log_probs.sel(condition="intact").values.astype(float))


def predict_along(replay: Any, procedure: str, trials: xr.Dataset) -> np.ndarray:
    """Predictions of a procedure, or of the subject ('itself'), along recorded lifetimes; see `predictions_of`.

    Raises:
        MesascopeError: the procedure does not apply, for example because it needs a bank.
    """
    answer = replay(procedure, trials)
    if answer.log_probs is not None:
        return np.exp(np.asarray(answer.log_probs, float))
    return np.asarray(answer.action, float)


def flatten(predictions: np.ndarray) -> np.ndarray:
    """Reshapes predictions to [N, all other axes]."""
    return predictions.reshape(len(predictions), -1)


def measure_distance(one: np.ndarray, other: np.ndarray, trials: xr.Dataset) -> np.ndarray:
    """[N] The distance of predictions: total variation for probabilities, else the squared error relative to chance."""
    if one.ndim == 3:
        return (0.5 * np.abs(one - other).sum(-1)).mean(-1)
    return ratio(np.square(one - other).sum(-1), find_possible_gain(trials).sum(-1))


def find_possible_gain(trials: xr.Dataset) -> np.ndarray:
    """[N, T] The gain of the best prediction over chance."""
    return (trials.best - trials.chance).values.astype(float)


def predict_procedures(family: Any, replay: Any, trials: xr.Dataset) -> dict[str, np.ndarray]:
    """The predictions, along recorded lifetimes, of the family's reference procedures that apply, by name."""
    result, references = {}, family.references
    predictors = family.predictors if isinstance(family, NamesPredictors) else ()
    for name in dict.fromkeys((*predictors, references["learner"], references.get("locator", ""))):
        if name:
            try:
                result[name] = predict_along(replay, name, trials)
            except MesascopeError:  # there is no bank to locate tasks in
                continue
    return result
