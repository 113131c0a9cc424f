"""Bits that acts with a donor's past hold about the donor's task, where the best act is made of independent digits.

An example is a cell of a room, with its row and its column. A table of single acts would have too many entries, but the
information about the digits adds up to a lower bound. A policy of its last trials, the clock and chance shows 0 bits.
A subject that copies its acts from one of M stored tasks shows at most log2 M.
"""

import numpy as np
import xarray as xr

from mesascope.questions.spectrum.carried import find_acts, find_donors, find_transplants
from mesascope.questions.spectrum.information import count_pairs, jackknife_information
from mesascope.trials import BLOCK_SIZE


def measure_transplanted_bits(trials: xr.Dataset, window: int, by_trial: bool = False) -> np.ndarray:
    """[U] Pseudo-values per donor, whose mean is the number of bits in the last quarter of the trials.

    Args:
        trials: the trials of one split with the attributes `parts` and `digits`.
        window: how many of its own last trials the recipient keeps.
        by_trial: whether every trial has its own table, which finds acts that encode the task differently each time.

    Raises:
        DoesNotApply: no past was transplanted.
    """
    start, lifetimes = 3 * trials.sizes["trial"] // 4, trials.sizes["lifetime"]
    cells = trials.sizes["trial"] - start if by_trial else 1
    labels, rows = find_transplants(trials, window), []
    for base, stride in _list_digits(trials):
        table = np.zeros((-(-lifetimes // BLOCK_SIZE) * BLOCK_SIZE, cells, base, base))
        for label in labels:
            best = trials.donor_ranks.sel(transplant=label).values[..., 0].astype(int)
            donor, best, taken = (x[:, start:] for x in (find_donors(trials, label), best, find_acts(trials, label)))
            cell = np.broadcast_to(np.arange(taken.shape[1]) % cells, taken.shape)
            np.add.at(table, (donor, cell, best // stride % base, taken // stride % base), 1.0)
        rows.append(jackknife_information(table[table.any((1, 2, 3))]))
    return int(trials.attrs["parts"]) * np.sum(rows, 0)


def measure_own_bits(trials: xr.Dataset) -> np.ndarray:
    """[N] The same about the subject's own task, in undisturbed trials, whatever its last trials told."""
    right, taken, rows = trials.right.values.astype(int), find_acts(trials, "intact"), []
    counts = np.broadcast_to(np.arange(right.shape[1]) >= 3 * right.shape[1] // 4, right.shape)
    for base, stride in _list_digits(trials):
        digit = np.eye(base)[taken // stride % base]
        rows.append(jackknife_information(count_pairs(right // stride % base, digit, counts, np.zeros_like(right), 1)))
    return int(trials.attrs["parts"]) * np.sum(rows, 0)


def _list_digits(trials: xr.Dataset) -> list[tuple[int, int]]:
    """The base of each digit of an action, and what one unit of the digit adds to the action."""
    bases = [int(base) for base in trials.attrs["digits"]]
    return [(base, int(np.prod(bases[i + 1 :]))) for i, base in enumerate(bases)]
