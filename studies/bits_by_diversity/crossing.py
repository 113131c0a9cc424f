"""Finds the bank size M at which strict bits pass log2 M, by seed: `python crossing.py results/results.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mesascope.stats import compute_intervals

QUANTITY_BY_PREFIX = {"linear attention, M=": "strict bits", "GRU, 8 cues, M=": "8 cues: strict bits"}
MIN_BANK_SIZE = 4  # the smallest bank size that counts; the bound of one table is 0 bits, which chance alone may pass


def find_crossings(document: dict[str, Any], subject_prefix: str, quantity: str) -> tuple[np.ndarray, int]:
    """Finds log2 of the bank size at which strict bits pass log2 M, by seed, and how many seeds pass more than once.

    Between two bank sizes, strict bits minus log2 M is interpolated linearly in log2 M.
    """
    by_size = {
        int(value["subject"].removeprefix(subject_prefix)): value["by_seed"]
        for value in document["values"]
        if value["quantity"] == quantity and value["subject"].removeprefix(subject_prefix).isdigit()
    }
    sizes = sorted(size for size in by_size if size >= MIN_BANK_SIZE)
    x = np.log2(sizes)
    crossings, n_repeated = [], 0
    for seed in range(document["seeds"]):
        above = np.asarray([by_size[size][seed] for size in sizes]) - x
        rises = np.flatnonzero((above[:-1] <= 0) & (above[1:] > 0))
        if not len(rises):
            crossings.append(np.nan)
            continue
        n_repeated += len(rises) > 1
        i = rises[-1]
        crossings.append(x[i] - above[i] * (x[i + 1] - x[i]) / (above[i + 1] - above[i]))
    return np.asarray(crossings), n_repeated


def main() -> None:
    """Prints one line per kind of network."""
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for line, quantity in QUANTITY_BY_PREFIX.items():
        crossings, n_repeated = find_crossings(document, line, quantity)
        mean = compute_intervals(crossings[None])
        seeds = ", ".join(f"{2**a:.1f}" for a in crossings)
        low, middle, high = (float(b[0]) for b in (mean.low, mean.estimate, mean.high))
        print(
            f"{line.partition(',')[0]}: log2 M = {middle:.2f} [{low:.2f}, {high:.2f}], "
            f"M = {2**middle:.1f} [{2**low:.1f}, {2**high:.1f}]; by seed {seeds}; crossed more than once: {n_repeated}"
        )


if __name__ == "__main__":
    main()
