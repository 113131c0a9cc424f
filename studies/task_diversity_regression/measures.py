"""Computes squared errors and distances of predictions, divided by the dimension D; chance then has about 1."""

from __future__ import annotations

import numpy as np

from mesascope import catalogue
from mesascope.contracts import DoesNotApply
from mesascope.errors import MesascopeError
from mesascope.reproduction.measures import Rollouts
from mesascope.rollouts.replays import replay


def error(rollouts: Rollouts, last: bool = False, noisy: bool = True) -> np.ndarray:
    """The squared error of the predictions, divided by D and averaged over trials.

    Args:
        rollouts: the lifetimes.
        last: whether only the last trial counts, at which the context is full.
        noisy: whether errors are those from the noisy outcome; otherwise from the outcome without noise.
    """
    return (
        (_square_errors(rollouts, _read_predictions(rollouts), noisy)[:, -1 if last else slice(None)])
        .reshape(len(_read_predictions(rollouts)), -1)
        .mean(-1)[None]
    )


def relative_error(rollouts: Rollouts, noisy: bool = True) -> np.ndarray:
    """The squared error at full context, as a multiple of the error of ridge regression on the same lifetimes.

    Args:
        rollouts: the lifetimes.
        noisy: whether errors are those from the noisy outcome; otherwise from the outcome without noise.
    """
    ridge = _predict_along(rollouts, "ridge")
    return np.stack(
        [_square_errors(rollouts, predictions, noisy)[:, -1] for predictions in (_read_predictions(rollouts), ridge)]
    )


def apart(rollouts: Rollouts, procedure: str = "ridge") -> np.ndarray:
    """The squared distance from the subject's predictions to a procedure's, divided by D and averaged over trials.

    Args:
        rollouts: the lifetimes.
        procedure: the name of a subject.
    """
    return (
        np.square(_read_predictions(rollouts) - _predict_along(rollouts, procedure)) / rollouts.family.dimension
    ).mean(-1)[None]


def _read_predictions(rollouts: Rollouts) -> np.ndarray:
    return rollouts.trials.action.sel(condition="intact").values.astype(float)


def _predict_along(rollouts: Rollouts, procedure: str) -> np.ndarray:
    try:
        subject = catalogue.make("subjects", procedure, rollouts.family)
    except MesascopeError as missing:  # without a bank, there is no posterior over its tasks
        raise DoesNotApply(missing.problem.rstrip(".")) from None
    return replay(subject, rollouts.trials).action.astype(float)


def _square_errors(rollouts: Rollouts, predictions: np.ndarray, noisy: bool) -> np.ndarray:
    outcome = rollouts.trials.feedback.sel(condition="intact").values if noisy else rollouts.trials.target.values
    return np.square(predictions - outcome.astype(float)) / rollouts.family.dimension
