"""Mutual information between the correct action and the action taken, corrected for the bias of small samples.

The counts of all lifetimes are sums, so one lifetime can be left out by subtracting its counts. The jackknife over
lifetimes (Quenouille 1956; Efron and Tibshirani 1993, chapter 11) therefore needs only one pass.

In shapes, N is the number of lifetimes, T of trials, and K of choices.
"""

import numpy as np

CHUNK_SIZE = 64  # how many leave-one-out tables are made at a time


def count_pairs(
    correct_actions: np.ndarray,
    action_probabilities: np.ndarray,
    is_counted: np.ndarray,
    cell: np.ndarray,
    cell_count: int,
) -> np.ndarray:
    """Counts pairs of correct action and action taken [N, cells, K, K], for each lifetime and cell.

    Args:
        correct_actions: [N, T] the correct action.
        action_probabilities: [N, T, K] the probability of each action; if only choices are known, one for the action
            taken.
        is_counted: [N, T] whether a trial counts.
        cell: [N, T] the index of the table to which a trial belongs, such as its part; zeros for a single table.
        cell_count: the number of tables per lifetime.
    """
    lifetimes, _, choices = action_probabilities.shape
    table = np.zeros((lifetimes * cell_count * choices, choices))
    row = (np.arange(lifetimes)[:, None] * cell_count + cell) * choices + correct_actions
    np.add.at(table, row.ravel(), (action_probabilities * is_counted[..., None]).reshape(-1, choices))
    return table.reshape(lifetimes, cell_count, choices, choices)


def measure_information(table: np.ndarray) -> np.ndarray:
    """Measures the mutual information [...] in tables of counts [..., cells, K, K], in bits.

    It is averaged over cells, which are weighted by their counts.
    """
    total = table.sum((-1, -2))
    joint, marginals = _compute_entropy_terms(table).sum((-1, -2)), (table.sum(-1), table.sum(-2))
    bits = joint + _compute_entropy_terms(total) - sum(_compute_entropy_terms(m).sum(-1) for m in marginals)
    return bits.sum(-1) / np.maximum(total.sum(-1), 1e-12)


def jackknife_information(table: np.ndarray) -> np.ndarray:
    """Computes jackknife pseudo-values [N] of the information in counts [N, cells, K, K].

    Their mean is the bias-corrected estimate, and their spread gives its standard error.
    """
    n, total = len(table), table.sum(0)
    without = np.concatenate([measure_information(total - table[i : i + CHUNK_SIZE]) for i in range(0, n, CHUNK_SIZE)])
    return n * measure_information(total) - (n - 1) * without


def _compute_entropy_terms(x: np.ndarray) -> np.ndarray:
    """Computes the terms x log2 x, which are 0 at x = 0."""
    return x * np.log2(np.where(x > 0, x, 1.0))
