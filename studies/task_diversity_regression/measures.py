"""Squared errors and distances of predictions, divided by the dimension: chance has about 1."""

from __future__ import annotations

import numpy as np

from mesascope import catalogue
from mesascope.contracts.metric import DoesNotApply
from mesascope.errors import MesascopeError
from mesascope.reproduction.measures import Rollouts
from mesascope.rollouts.replays import replay


def error(lived: Rollouts, last: bool = False, noisy: bool = True) -> np.ndarray:
    """Squared error of a prediction / D, the mean over the trials.

    Args:
        lived: the lifetimes.
        last: of the last trial alone, at full context.
        noisy: from the outcome that came; else from what it would have been without noise.
    """
    return (
        (_squares(lived, _own(lived), noisy)[:, -1 if last else slice(None)])
        .reshape(len(_own(lived)), -1)
        .mean(-1)[None]
    )


def relative_error(lived: Rollouts, noisy: bool = True) -> np.ndarray:
    """Squared error at full context as a multiple of ridge's on the same lifetimes.

    Args:
        lived: the lifetimes.
        noisy: from the outcome that came; else from what it would have been without noise.
    """
    ridge = _along(lived, "ridge")
    return np.stack([_squares(lived, told, noisy)[:, -1] for told in (_own(lived), ridge)])


def apart(lived: Rollouts, procedure: str = "ridge") -> np.ndarray:
    """Squared distance / D between its predictions and a procedure's along its own lifetimes, the mean over the trials.

    Args:
        lived: the lifetimes.
        procedure: a subject by name.
    """
    return (np.square(_own(lived) - _along(lived, procedure)) / lived.family.dimension).mean(-1)[None]


def _own(lived: Rollouts) -> np.ndarray:
    return lived.trials.action.sel(condition="intact").values.astype(float)


def _along(lived: Rollouts, procedure: str) -> np.ndarray:
    try:
        told = catalogue.make("subjects", procedure, lived.family)
    except MesascopeError as lacking:  # no bank, so no posterior over one
        raise DoesNotApply(lacking.problem.rstrip(".")) from None
    return replay(told, lived.trials).action.astype(float)


def _squares(lived: Rollouts, told: np.ndarray, noisy: bool) -> np.ndarray:
    right = lived.trials.feedback.sel(condition="intact").values if noisy else lived.trials.target.values
    return np.square(told - right.astype(float)) / lived.family.dimension
