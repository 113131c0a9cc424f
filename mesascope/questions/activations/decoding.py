"""Decodes beliefs from activations by ridge regression, with cross-validation over lifetimes.

In shapes, N is the number of lifetimes, T of trials, U of units (activations), B of targets, and F of folds.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

FOLDS = 5
RIDGE_PENALTY = 1e-3  # on standardised units
DEFAULT_LIFETIMES = 128  # the largest number of lifetimes to use, by default


class LinearModel(NamedTuple):
    """A fitted linear model of targets y from activations x: y ≈ (x - centre) / scale @ weights + mean."""

    weights: np.ndarray  # [U, B]
    centre: np.ndarray  # [U]
    scale: np.ndarray  # [U], infinite for units that never change
    mean: np.ndarray  # [B]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Predicts targets […, B] from x […, U]."""
        return (x - self.centre) / self.scale @ self.weights + self.mean


class Moments:
    """The second moments of each fold of lifetimes, which suffice to fit a regression to any folds and units."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        """Computes the moments of activations x [N, T, U] and targets y [N, T, B]."""
        self.x, self.y, self.folds = x, y, assign_folds(len(x))
        self.fold_numbers = range(int(self.folds.max()) + 1)
        columns = np.concatenate([np.ones((*x.shape[:2], 1)), x, y], -1)
        parts = [columns[self.folds == f].reshape(-1, columns.shape[-1]) for f in self.fold_numbers]
        self.sums = np.stack([p[:, : x.shape[-1] + 1].T @ p for p in parts])  # [F, 1 + U, 1 + U + B]

    def fit_ridge(self, omitted_fold: int = -1, units: np.ndarray | None = None) -> LinearModel:
        """Fits ridge regression to all folds except `omitted_fold` (-1 omits none), with all units or only `units`."""
        sums = self.sums[[f for f in self.fold_numbers if f != omitted_fold]].sum(0)
        width, row_count = self.x.shape[-1], sums[0, 0]
        mean = sums[0] / row_count
        cross = sums[1:] / row_count - mean[1 : width + 1, None] * mean
        units = np.arange(width) if units is None else units
        spread = np.sqrt(np.maximum(cross[units, units + 1], 0))
        scale = np.where(spread > 1e-6, spread, np.inf)
        gram = cross[np.ix_(units, units + 1)] / scale[:, None] / scale + RIDGE_PENALTY * np.eye(len(units))
        weights = np.linalg.solve(gram, cross[units, width + 1 :] / scale[:, None])
        return LinearModel(weights, mean[units + 1], scale, mean[width + 1 :])

    def predict(self, units: np.ndarray | None = None) -> np.ndarray:
        """Predicts the targets [N, T, B] of every lifetime from a regression fitted to the other folds."""
        predictions, x = np.empty_like(self.y), self.x if units is None else self.x[..., units]
        for f in self.fold_numbers:
            predictions[self.folds == f] = self.fit_ridge(f, units)(x[self.folds == f])
        return predictions


def assign_folds(n: int) -> np.ndarray:
    """Assigns each of n lifetimes to a fold; returns the folds' indices [n]."""
    return np.arange(n) % min(FOLDS, n)


def average_other_folds(y: np.ndarray, is_by_trial: bool) -> np.ndarray:
    """Gives each lifetime the mean targets [N, T, B] of the lifetimes in other folds.

    The mean is taken for each trial number (`is_by_trial`), or over all trials.
    """
    means, fold = np.empty_like(y), assign_folds(len(y))
    for f in range(int(fold.max()) + 1):
        means[fold == f] = y[fold != f].mean(0 if is_by_trial else (0, 1))
    return means


def join_taps(taps: Mapping[str, np.ndarray]) -> np.ndarray:
    """Concatenates the activations of all taps along the units [N, T, U]."""
    return np.concatenate([np.asarray(v, np.float64).reshape(*v.shape[:2], -1) for v in taps.values()], -1)
