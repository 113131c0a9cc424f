"""Error rates of `mesascope compare` in pairs of known difference, resampled from stored lifetimes.

`python benchmarks/comparison.py` examines four scripted subjects on the same 1,024 tasks once. Every study then draws n
of these tasks with replacement, so that the true difference of a metric is that over all 1,024 tasks:

- no difference: the numbers of one subject are shifted so that the true difference is 0; how many pairs are told apart?
- at the margin: the numbers are shifted so that the true difference equals the margin, or minus the margin; how many
  pairs are called equivalent?
- coverage: how often does the interval contain the true difference?
- pairing: the width of the paired interval, as a share of that of the unpaired one, beside √(1 - r).

A simulation of recipes with several training seeds follows, with known variances.
"""

from __future__ import annotations

import sys

import numpy as np

import mesascope
from mesascope.rollouts.compiling import cache_compiled_code
from mesascope.stats import compute_contrast, compute_group_contrast, compute_intervals

STUDIES = 2_000
PAIRS = (("thompson", "greedy"), ("thompson", "ucb1"), ("thompson", "thompson:discount=0.93"))
METRICS = ("performance", "deletion", "transplant")


def collect_values(lifetimes: int) -> dict[str, dict[str, np.ndarray]]:
    """Examines the subjects, and returns the numbers [lifetimes] of each metric's first reading by subject."""
    names = sorted({name for pair in PAIRS for name in pair})
    family = "bernoulli_bandit:arms=5,trials=50"
    found = mesascope.examine(names, family, lifetimes=lifetimes, splits="fresh", metrics=METRICS)
    return {
        name: {metric.name: np.asarray(rows[0].values) for metric, rows in examination.readings}
        for name, examination in zip(names, found, strict=True)
    }


def compare_widths(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Returns the width of the paired interval as a share of that of the unpaired one, and √(1 - r)."""
    widths = [np.ptp([x[0] for x in compute_contrast(first, second, paired)[1:3]]) for paired in (True, False)]
    return float(widths[0] / widths[1]), float(np.sqrt(1 - np.corrcoef(first, second)[0, 1]))


def print_pair(first: np.ndarray, second: np.ndarray, label: str, rng: np.random.Generator) -> None:
    """Prints the error rates of one pair and metric, in studies of 64 and 256 tasks."""
    for n in (64, 256):
        drawn = rng.integers(0, len(first), (STUDIES, n))
        differences = (first - second)[drawn]
        truth = float((first - second).mean())
        rows, inner = compute_intervals(differences), compute_intervals(differences, confidence=0.9)
        covered = ((rows.low <= truth) & (truth <= rows.high)).mean()
        apart = ((rows.low > truth) | (rows.high < truth)).mean()  # the same as shifting the difference to 0
        # the true difference is at one end of the margin, which is so wide that the other one-sided test always holds
        at_margin = [(inner.high < truth).mean(), (inner.low > truth).mean()]
        print(
            f"{label}, n = {n}: difference {truth:.3f}, half-width {np.mean(rows.high - rows.low) / 2:.3f}, "
            f"covered {covered:.3f}, told apart at 0 {apart:.3f}, "
            f"equivalent at the margin {np.mean(at_margin):.3f} (above {at_margin[0]:.3f}, below {at_margin[1]:.3f})"
        )


def print_recipes(rng: np.random.Generator) -> None:
    """Prints how often the interval for two recipes of S training seeds each contains the true difference."""
    for seeds in (2, 3, 5, 10):
        covered, widths = 0, []
        for _ in range(STUDIES):
            tasks = rng.normal(0, 0.3, 64)
            sides = [
                tasks * (1 + 0.2 * i) + rng.normal(0, 0.05, (seeds, 1)) + rng.normal(0, 0.3, (seeds, 64))
                for i in (0, 1)
            ]
            found = compute_group_contrast(*sides, is_paired=True)
            covered += found.low[0] <= 0 <= found.high[0]
            widths.append(found.high[0] - found.low[0])
        print(
            f"{seeds} training seeds of each: covered {covered / STUDIES:.3f}, half-width {np.median(widths) / 2:.3f}"
        )


def main() -> None:
    """Prints all tables."""
    cache_compiled_code()
    lifetimes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_024
    values, rng = collect_values(lifetimes), np.random.default_rng(0)
    for first, second in PAIRS:
        for metric in METRICS:
            pair = values[first][metric], values[second][metric]
            ratio, expected = compare_widths(*pair)
            print(f"{first} and {second}, {metric}: paired/unpaired width {ratio:.3f}, √(1 - r) {expected:.3f}")
            print_pair(*pair, f"  {metric}", rng)
    print_recipes(rng)


if __name__ == "__main__":
    main()
