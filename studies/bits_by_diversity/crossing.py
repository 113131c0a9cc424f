"""Where strict bits pass log2 M, by training seed: `python crossing.py results/results.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mesascope.stats import compute_intervals

LINES = {"linear attention, M=": "strict bits", "GRU, 8 cues, M=": "8 cues: strict bits"}
SMALLEST = 4  # of the bank sizes that count; one table has nothing to tell, so chance decides whether 0 bits pass 0


def crossings(document: dict[str, Any], line: str, quantity: str) -> tuple[np.ndarray, int]:
    """log2 of the bank size from which on strict bits exceed log2 M, by seed, and how many banks changed sign twice.

    Between two bank sizes, strict bits minus log2 M is taken to be linear in log2 M.
    """
    by_size = {
        int(value["subject"].removeprefix(line)): value["by_seed"]
        for value in document["values"]
        if value["quantity"] == quantity and value["subject"].removeprefix(line).isdigit()
    }
    sizes = sorted(size for size in by_size if size >= SMALLEST)
    x = np.log2(sizes)
    found, more = [], 0
    for seed in range(document["seeds"]):
        above = np.asarray([by_size[size][seed] for size in sizes]) - x
        ups = np.flatnonzero((above[:-1] <= 0) & (above[1:] > 0))
        if not len(ups):
            found.append(np.nan)
            continue
        more += len(ups) > 1
        i = ups[-1]
        found.append(x[i] - above[i] * (x[i + 1] - x[i]) / (above[i + 1] - above[i]))
    return np.asarray(found), more


def main() -> None:
    """Prints a line per kind of network."""
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for line, quantity in LINES.items():
        at, more = crossings(document, line, quantity)
        over = compute_intervals(at[None])
        seeds = ", ".join(f"{2**a:.1f}" for a in at)
        low, middle, high = (float(b[0]) for b in (over.low, over.estimate, over.high))
        print(
            f"{line.partition(',')[0]}: log2 M = {middle:.2f} [{low:.2f}, {high:.2f}], "
            f"M = {2**middle:.1f} [{2**low:.1f}, {2**high:.1f}]; by seed {seeds}; crossed more than once: {more}"
        )


if __name__ == "__main__":
    main()
