"""Bits about a donor's task in actions after a transplant, if the best action consists of independent digits.

An example is a cell of a room, with its row and its column. A table of single actions would have too many entries, but
the information about the digits adds up to a lower bound. A policy that uses only its last trials, the trial number and
chance shows 0 bits. A subject that copies its actions from one of M stored tasks shows at most log2 M.

In shapes, N is the number of lifetimes, and U the number of donors.
"""

import numpy as np
import xarray as xr

from mesascope.questions.spectrum.carried import find_donors, find_first_actions, find_transplants
from mesascope.questions.spectrum.information import count_pairs, jackknife_information
from mesascope.trials import BLOCK_SIZE


def measure_transplanted_bits(trials: xr.Dataset, window: int, is_by_trial: bool = False) -> np.ndarray:
    """Measures the bits about the donor's task in actions of the last quarter after a transplant.

    Args:
        trials: the trials of one split with the attributes `parts` and `digits`.
        window: how many of its own last trials the recipient keeps.
        is_by_trial: whether every trial has its own table, which detects a coding that changes with the trial number.

    Returns:
        Pseudo-values for each donor [U], whose mean is the estimate.

    Raises:
        DoesNotApply: no transplant was run.
    """
    start, lifetimes = 3 * trials.sizes["trial"] // 4, trials.sizes["lifetime"]
    cells = trials.sizes["trial"] - start if is_by_trial else 1
    labels, rows = find_transplants(trials, window), []
    for base, stride in _list_digits(trials):
        table = np.zeros((-(-lifetimes // BLOCK_SIZE) * BLOCK_SIZE, cells, base, base))
        for label in labels:
            best = trials.donor_ranks.sel(transplant=label).values[..., 0].astype(int)
            donor, best, taken = (
                x[:, start:] for x in (find_donors(trials, label), best, find_first_actions(trials, label))
            )
            cell = np.broadcast_to(np.arange(taken.shape[1]) % cells, taken.shape)
            np.add.at(table, (donor, cell, best // stride % base, taken // stride % base), 1.0)
        rows.append(jackknife_information(table[table.any((1, 2, 3))]))
    return int(trials.attrs["parts"]) * np.sum(rows, 0)


def measure_own_bits(trials: xr.Dataset) -> np.ndarray:
    """Measures the bits about the subject's own task in undisturbed actions of the last quarter: pseudo-values [N]."""
    right, taken, rows = trials.right.values.astype(int), find_first_actions(trials, "intact"), []
    counts = np.broadcast_to(np.arange(right.shape[1]) >= 3 * right.shape[1] // 4, right.shape)
    for base, stride in _list_digits(trials):
        digit = np.eye(base)[taken // stride % base]
        rows.append(jackknife_information(count_pairs(right // stride % base, digit, counts, np.zeros_like(right), 1)))
    return int(trials.attrs["parts"]) * np.sum(rows, 0)


def _list_digits(trials: xr.Dataset) -> list[tuple[int, int]]:
    """Lists the base and the place value of each digit; one unit of the digit adds the place value to the action."""
    bases = [int(base) for base in trials.attrs["digits"]]
    return [(base, int(np.prod(bases[i + 1 :]))) for i, base in enumerate(bases)]
