"""Mutual information between the right action and the action taken, without the bias of small samples.

Counts of one lifetime are sums over its trials, so leaving a lifetime out is a subtraction, and the jackknife over
lifetimes (Quenouille 1956; Efron and Tibshirani 1993, chapter 11) costs one pass.
"""

import numpy as np

CHUNK = 64  # lifetimes that are left out at once


def count_pairs(right: np.ndarray, taken: np.ndarray, counts: np.ndarray, cell: np.ndarray, cells: int) -> np.ndarray:
    """Weights [N, cells, K, K] of right action and action taken, per lifetime and cell.

    Args:
        right: [N, T] the right action.
        taken: [N, T, K] the probability of each action, or one for the action taken.
        counts: [N, T] whether a trial counts.
        cell: [N, T] the cell that a trial belongs to: the cue, or the trial; zeros for one table.
        cells: how many cells there are.
    """
    lifetimes, _, choices = taken.shape
    table = np.zeros((lifetimes * cells * choices, choices))
    row = (np.arange(lifetimes)[:, None] * cells + cell) * choices + right
    np.add.at(table, row.ravel(), (taken * counts[..., None]).reshape(-1, choices))
    return table.reshape(lifetimes, cells, choices, choices)


def information(table: np.ndarray) -> np.ndarray:
    """Mutual information [...] in bits of tables [..., cells, K, K], each cell weighted by its counts."""
    total = table.sum((-1, -2))
    joint, marginals = _entropy_terms(table).sum((-1, -2)), (table.sum(-1), table.sum(-2))
    bits = joint + _entropy_terms(total) - sum(_entropy_terms(m).sum(-1) for m in marginals)
    return bits.sum(-1) / np.maximum(total.sum(-1), 1e-12)


def jackknife(table: np.ndarray) -> np.ndarray:
    """Pseudo-values [N] of the information in weights [N, cells, K, K]: their mean is the estimate without its bias.

    Their spread gives the standard error, as for numbers of independent lifetimes.
    """
    n, total = len(table), table.sum(0)
    without = np.concatenate([information(total - table[i : i + CHUNK]) for i in range(0, n, CHUNK)])
    return n * information(total) - (n - 1) * without


def _entropy_terms(x: np.ndarray) -> np.ndarray:
    """x log2 x, 0 at 0."""
    return x * np.log2(np.where(x > 0, x, 1.0))
