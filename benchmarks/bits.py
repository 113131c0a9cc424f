"""Bits acquired by subjects whose answer is known, and whether a holder of M tables ever shows more than log2 M.

Usage: python benchmarks/bits.py [STUDIES]
"""

import sys

import numpy as np

import mesascope
from mesascope.questions.spectrum.parts import TABLE_VIEWS, measure_bits
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import compute_intervals, compute_standard_error

WINDOW, LIFETIMES, CHUNK = 4, 256, 8192
HOLDERS = (
    ("table_locator", 4),
    ("table_locator", 64),
    ("table_locator", 1024),
    ("tailored_locator", 64),
    ("tailored_locator", 256),
)
SUBJECTS = (
    ("associator:greedy=True", 0),
    ("associator:action_mapping=next", 0),
    ("associator:action_mapping=clock", 0),
    ("associator:should_minimise=True", 0),
    *((f"last_cues:window={w}", 0) for w in (4, 5, 6)),
    *(("table_locator", m) for m in (2, 4, 16, 64, 256, 1024)),
    ("table_locator:vote=True", 64),
    ("tailored_locator", 256),
)


def measure(name: str, bank: int, lifetimes: int, seed: int):
    """The intact trials of a subject on fresh tables."""
    family = mesascope.make("families", f"associations:bank={bank},bank_seed={seed}" if bank else "associations")
    return rollout(
        mesascope.make("subjects", name, family), family, lifetimes=lifetimes, seed=seed, blocks_per_call=4
    ).sel(condition="intact")


def main() -> None:
    """Prints the bits of each subject, then how often a holder's low end is above log2 M."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print("subject, M: older bits (pooled), strict bits, most of the other views")
    for name, bank in SUBJECTS:
        trials = measure(name, bank, 2 * LIFETIMES, 1)
        older, strict = (measure_bits(trials, WINDOW, is_strict=s) for s in (False, True))
        best = max((measure_bits(trials, WINDOW, view=v) for v in TABLE_VIEWS[1:]), key=np.mean)
        cells = [f"{x.mean():.2f} ± {compute_standard_error(x):.2f}" for x in (older, strict, best)]
        print(f"{name}, {bank or 'unlimited'}: {', '.join(cells)}", flush=True)
    print(f"holders: studies of {LIFETIMES} lifetimes whose low end of the strict bits is above log2 M")
    for name, bank in HOLDERS:
        above, seen, means = 0, 0, []
        for seed in range(-(-studies * LIFETIMES // CHUNK)):
            trials = measure(name, bank, CHUNK, 100 + seed)
            for i in range(0, CHUNK, LIFETIMES):
                values = measure_bits(trials.isel(lifetime=slice(i, i + LIFETIMES)), WINDOW, is_strict=True)
                above += bool(compute_intervals(values[None]).low[0] > np.log2(bank))
                means.append(values.mean())
                seen += 1
        print(f"{name}, {bank}: {above} of {seen}; mean {np.mean(means):.2f} of {np.log2(bank):.0f} bits", flush=True)


if __name__ == "__main__":
    main()
