"""Holds every axis to the scripted subjects whose reading is known; their truth stands beside the axis."""

from __future__ import annotations

import importlib.util
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from mesascope import catalogue
from mesascope.contracts import axis as axes
from mesascope.contracts.split import kind
from mesascope.examination.examination import resolve
from mesascope.rollouts.rollouts import rollout

RIGHT = 0.95  # of the runs of every subject


class Case(NamedTuple):
    """One line of an axis's truth; splits that are empty stand for all those that the axis is tested on.

    Where readings are near a limit a line is read on so many times the lifetimes of the others.
    """

    name: str
    subject: str
    reading: str
    family: str
    splits: tuple[str, ...]
    never: tuple[str, ...]
    times: int = 1


def cases(axis: str, quick: bool = False) -> list[Case]:
    """The lines of an axis's truth, with quick those that the short validation reads; none without a file beside it.

    Lines whose package is not installed are passed over.
    """
    path = Path(str(catalogue.module("axes", axis).__file__)).with_suffix(".toml")
    if not path.is_file():
        return []
    told = tomllib.loads(path.read_text())
    default = told["defaults"]
    return [
        Case(
            name,
            row.get("subject", name),
            row["reading"],
            row.get("family", default["family"]),
            tuple(row.get("splits", ())),
            tuple(default.get("never", ())) if row.get("control", False) else (),
            row.get("times", 1),
        )
        for name, row in told["subjects"].items()
        if (not quick or row.get("quick", True)) and _installed(row.get("needs", ""))
    ]


def _installed(package: str) -> bool:
    return not package or importlib.util.find_spec(package) is not None


def asked(
    seeds: int, first: int, lifetimes: int, quick: bool = False, only: str | None = None
) -> list[tuple]:
    """The work of reading every scripted subject of every axis in several runs, as calls to be made.

    Args:
        seeds: runs per subject.
        first: the first seed.
        lifetimes: per split and run.
        quick: only the lines that the short validation reads.
        only: one axis; all of them where None.
    """
    return [
        (_readings, name, case, seeds, first, lifetimes)
        for name in catalogue.names("axes")
        if only in (None, name)
        for case in cases(name, quick)
    ]


def counted(units: list[tuple], answers: list[dict[str, int]], seeds: int) -> dict[str, dict[str, Any]]:
    """What the calls gave.

    Returns:
        By axis: `confusion` {truth: {reading: count}}, `subjects` with their readings, `right` (share of runs),
        `false_positives` (a control was read as what a control must never be), and what was `missed`.
    """
    told: dict[str, list[tuple[Case, dict[str, int]]]] = {}
    for (_, name, case, *_), readings in zip(units, answers, strict=True):
        told.setdefault(name, []).append((case, readings))
    out = {}
    for name, lines in told.items():
        confusion: dict[str, Counter] = {}
        rows, false = [], 0
        for case, readings in lines:
            confusion.setdefault(case.reading, Counter()).update(readings)
            false += sum(readings.get(r, 0) for r in case.never)
            right = readings.get(case.reading, 0) / seeds
            rows.append(
                {"subject": case.name, "truth": case.reading, "readings": dict(readings), "right": right}
            )
        missed = [
            f"{name}: {r['subject']} is read as {r['truth']} in {r['right']:.0%} of the runs, the bound is {RIGHT:.0%}"
            for r in rows
            if r["right"] < RIGHT
        ]
        if false:
            missed.append(f"{name}: {false} runs of controls were read as what a control must never be")
        out[name] = {
            "confusion": {truth: dict(counts) for truth, counts in confusion.items()},
            "right": sum(r["right"] for r in rows) / len(rows),
            "false_positives": false,
            "runs": seeds * len(rows),
            "subjects": rows,
            "missed": missed,
        }
    return out


def _readings(axis: str, case: Case, seeds: int, first: int, lifetimes: int) -> dict[str, int]:
    """How often each reading came out."""
    return Counter(read(axis, case, seed, lifetimes) for seed in range(first, first + seeds))


def read(axis: str, case: Case, seed: int, lifetimes: int) -> str:
    """What the axis reads in one run of a subject."""
    made: axes.Axis = catalogue.make("axes", axis)
    family = catalogue.make("families", case.family.format(seed=seed))
    subject = resolve(case.subject, family)
    splits = case.splits or tuple(r for r in family.split_names if kind(r) in made.tested)
    asked = made.made(family)
    n = lifetimes * case.times
    lived = {
        split: rollout(subject, family, split, n, seed, conditions=asked, log_probs=False) for split in splits
    }
    verdict = made.read(lived, family)
    return "none" if verdict is None else verdict.reading
