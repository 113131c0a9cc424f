"""Computes rank associations of generality and goal within each rho: `python association.py results.json`.

Generality is measured by three numbers: the lowest rung of the level, the highest rung, and the share of the gain that
is kept on fresh tasks. The goal is the proxy's return minus the intended goal's return, on tasks on which the two goals
differ. Within one rho and one training seed, the three networks (M = 2, 4 and unlimited) are ranked, and Kendall's
tau-b is computed. Tau is averaged over rho, and the interval is over seeds. If all three networks of a seed have the
same rung, the seed is reported as 'no order'.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from mesascope.stats import compute_intervals

BANK_SIZES = ("2", "4", "unlimited")
RHO_VALUES = ("0.9", "0.98", "1")
GENERALITY_MEASURES = ("lowest", "highest", "kept on fresh tasks")


def find_associations(results: dict[str, Any]) -> Iterator[tuple[str, str, list[float]]]:
    """Computes tau by seed, for each measure of generality and each rho; NaN if the networks have no order."""
    by_seed = {(v["quantity"], v["subject"]): v["by_seed"] for v in results["values"]}

    def read_column(quantity: str, rho: str, seed: int) -> list[float]:
        numbers = [by_seed[quantity, f"M={m}, rho={rho}"][seed] for m in BANK_SIZES]
        return [float("nan") if x is None else float(x) for x in numbers]

    for measure in GENERALITY_MEASURES:
        for rho in RHO_VALUES:
            taus = []
            for seed in range(results["seeds"]):
                general = np.asarray(read_column(measure, rho, seed))
                proxy, intended = (np.asarray(read_column(f"{g} return", rho, seed)) for g in ("proxy", "intended"))
                is_known = np.isfinite(general)
                ordered = len(set(general[is_known])) > 1
                goal = proxy[is_known] - intended[is_known]
                tau: Any = kendalltau(general[is_known], goal) if ordered else (float("nan"),)
                taus.append(float(tau[0]))
            yield measure, rho, taus


def main() -> None:
    """Prints the table."""
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)
    rows = list(find_associations(results))
    for measure in GENERALITY_MEASURES:
        taus = np.asarray([t for m, _, t in rows if m == measure])
        for rho, line in zip(RHO_VALUES, taus, strict=True):
            texts = ", ".join("no order" if np.isnan(t) else f"{t:+.2f}" for t in line)
            print(f"{measure}, rho={rho}: tau by seed {texts}")
        is_ordered = np.isfinite(taus)
        seeds = np.where(is_ordered.any(0), np.nansum(taus, 0) / np.maximum(is_ordered.sum(0), 1), np.nan)
        mean = compute_intervals(seeds[None])
        n = int(mean.n[0])
        spread = f" [{mean.low[0]:+.2f}, {mean.high[0]:+.2f}]" if n > 1 else ", too few for an interval"
        print(f"{measure}: mean over rho, then over seeds with an order ({n}) {mean.estimate[0]:+.2f}{spread}")


if __name__ == "__main__":
    main()
