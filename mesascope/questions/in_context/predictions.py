"""What the metrics of in-context prediction share: predictions of the subject and of procedures along its lifetimes."""

from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.capabilities import NamesPredictors
from mesascope.contracts.metric import DoesNotApply
from mesascope.errors import MesascopeError
from mesascope.stats import ratio

KINDS = ("seen", "fresh", "shifted")


def splits_with_targets(trials: Any) -> dict[str, xr.Dataset]:
    """The splits whose trials say what should have been predicted.

    Raises:
        DoesNotApply: none does.
    """
    splits = {split: lived for split, lived in trials.items() if "target" in lived}
    if not splits:
        raise DoesNotApply("nothing says what should have been predicted")
    return splits


def predictions_of(lived: xr.Dataset, replay: Any) -> np.ndarray:
    """Predictions of undisturbed lifetimes: numbers [N, T], or probabilities [N, T, K], by replay where not kept.

    Raises:
        DoesNotApply: choices without probabilities.
    """
    if lived.attrs.get("actions") == "real":
        return lived.action.sel(condition="intact").values.astype(float)
    if "log_probs" not in lived and getattr(replay, "itself", None) is not None:
        return predict_along(replay, "itself", lived)
    if "log_probs" not in lived:
        raise DoesNotApply("it gives no probabilities of what it predicts")
    return np.exp(lived.log_probs.sel(condition="intact").values.astype(float))


def predict_along(replay: Any, procedure: str, lived: xr.Dataset) -> np.ndarray:
    """Predictions of a procedure, or of the subject 'itself', along recorded lifetimes, in the form of `told`.

    Raises:
        MesascopeError: there is no such procedure here, as where it needs a bank.
    """
    answer = replay(procedure, lived)
    if answer.log_probs is not None:
        return np.exp(np.asarray(answer.log_probs, float))
    return np.asarray(answer.action, float)


def flatten(predictions: np.ndarray) -> np.ndarray:
    """[N, everything]."""
    return predictions.reshape(len(predictions), -1)


def prediction_distance(one: np.ndarray, other: np.ndarray, lived: xr.Dataset) -> np.ndarray:
    """[N] how far predictions lie apart: squared, 1 being what chance errs; of probabilities the total variation."""
    if one.ndim == 3:
        return (0.5 * np.abs(one - other).sum(-1)).mean(-1)
    return ratio(np.square(one - other).sum(-1), possible_gain(lived).sum(-1))


def possible_gain(lived: xr.Dataset) -> np.ndarray:
    """[N, T] what the best gains over chance."""
    return (lived.best - lived.chance).values.astype(float)


def procedures(family: Any, replay: Any, lived: xr.Dataset) -> dict[str, np.ndarray]:
    """Predictions of the family's reference procedures along recorded lifetimes, those that apply."""
    found, references = {}, family.references
    named = family.predictors if isinstance(family, NamesPredictors) else ()
    for name in dict.fromkeys((*named, references["learner"], references.get("locator", ""))):
        if name:
            try:
                found[name] = predict_along(replay, name, lived)
            except MesascopeError:  # no bank to locate in
                continue
    return found
