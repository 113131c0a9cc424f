"""Mutual information between the right action and the action taken, corrected for the bias of small samples.

The counts of a lifetime are sums over its trials. So a lifetime is left out by subtraction, and the jackknife over
lifetimes (Quenouille 1956; Efron and Tibshirani 1993, chapter 11) needs one pass.
"""

import numpy as np

CHUNK_SIZE = 64  # for how many lifetimes a leave-one-out table is made at a time


def count_pairs(right: np.ndarray, taken: np.ndarray, counts: np.ndarray, cell: np.ndarray, cells: int) -> np.ndarray:
    """Counts pairs of right action and action taken [N, cells, K, K], for each lifetime and cell.

    Args:
        right: [N, T] the right action.
        taken: [N, T, K] the probability of each action, or one for the action taken.
        counts: [N, T] whether a trial counts.
        cell: [N, T] the cell that a trial belongs to: its part, or its index; zeros for a single table.
        cells: the number of cells.
    """
    lifetimes, _, choices = taken.shape
    table = np.zeros((lifetimes * cells * choices, choices))
    row = (np.arange(lifetimes)[:, None] * cells + cell) * choices + right
    np.add.at(table, row.ravel(), (taken * counts[..., None]).reshape(-1, choices))
    return table.reshape(lifetimes, cells, choices, choices)


def measure_information(table: np.ndarray) -> np.ndarray:
    """Mutual information [...], in bits, of tables [..., cells, K, K]; each cell is weighted by its counts."""
    total = table.sum((-1, -2))
    joint, marginals = _entropy_terms(table).sum((-1, -2)), (table.sum(-1), table.sum(-2))
    bits = joint + _entropy_terms(total) - sum(_entropy_terms(m).sum(-1) for m in marginals)
    return bits.sum(-1) / np.maximum(total.sum(-1), 1e-12)


def jackknife_information(table: np.ndarray) -> np.ndarray:
    """Pseudo-values [N] of the information in counts [N, cells, K, K].

    Their mean is the bias-corrected estimate, and their spread gives its standard error.
    """
    n, total = len(table), table.sum(0)
    without = np.concatenate([measure_information(total - table[i : i + CHUNK_SIZE]) for i in range(0, n, CHUNK_SIZE)])
    return n * measure_information(total) - (n - 1) * without


def _entropy_terms(x: np.ndarray) -> np.ndarray:
    """x log2 x, 0 at 0."""
    return x * np.log2(np.where(x > 0, x, 1.0))
