"""The known answers of the axes alone, as `mesascope validate` reads them: `python benchmarks/axes.py 7000 20`."""

from __future__ import annotations

import sys

from mesascope.execution import run_units
from mesascope.rollouts.compiling import cache_compiled_code
from mesascope.validation import axes as validation_of_axes


def main() -> None:
    """Prints the runs that are read otherwise than the truth has them, and the shares."""
    first, seeds = (int(a) for a in [*sys.argv[1:], *("1000", "20")[len(sys.argv) - 1 :]])
    cache_compiled_code(is_short=True)
    units = validation_of_axes.list_calls(seeds, first, 256)
    found = validation_of_axes.count_readings(units, list(run_units(_read, units, 0)), seeds)
    for name, counts in found.items():
        misread = counts["false_positives"]
        print(f"{name}: right in {counts['right']:.1%} of {counts['runs']} runs, {misread} controls misread")
        for row in counts["subjects"]:
            if row["right"] < 1:
                print(f"  {row['subject']} is {row['truth']}, read as {row['readings']}")
        print("\n".join(counts["missed"]) or "  no bound is missed")


def _read(work, *unit):
    return work(*unit)


if __name__ == "__main__":
    main()
