"""Holds every axis to the scripted subjects whose reading is known; their truth stands beside the axis."""

import importlib.util
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts import axis as axes
from mesascope.contracts.split import kind
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
    splits: Sequence[str] = ()
    never: Sequence[str] = ()
    times: int = 1


def truth_lines(path: Path, quick: bool) -> list[dict[str, Any]]:
    """The subjects in a truth, with the file's defaults; with quick those that the short validation reads."""
    told = tomllib.loads(path.read_text())
    rows = [
        {"name": name, "subject": name, **told["defaults"], **row} for name, row in told["subjects"].items()
    ]
    return [row for row in rows if not quick or row.get("quick", True)]


def parse_line(case: type[NamedTuple], row: Mapping[str, Any]) -> Any:
    """What a line says of a case."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items() if k in case._fields}


def cases(axis: str, quick: bool = False) -> list[Case]:
    """The lines of an axis's truth, with quick those that the short validation reads; none without a file beside it.

    Lines whose package is not installed are passed over.
    """
    path = Path(str(catalogue.module("axes", axis).__file__)).with_suffix(".toml")
    if not path.is_file():
        return []
    there = (
        row
        for row in truth_lines(path, quick)
        if not row.get("needs") or importlib.util.find_spec(row["needs"])
    )
    return [Case(**parse_line(Case, row if row.get("control") else row | {"never": ()})) for row in there]


def list_calls(
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


def count_readings(
    units: list[tuple], answers: list[dict[str, int]], seeds: int
) -> dict[str, dict[str, Any]]:
    """What the calls gave.

    Returns:
        By axis: `confusion` {truth: {reading: count}}, `subjects` with their readings, `right` (share of runs),
        `false_positives` (a control was read as what a control must never be), and what was `missed`.
    """
    out: dict[str, dict[str, Any]] = {}
    for (_, name, case, *_), readings in zip(units, answers, strict=True):
        none = {"confusion": {}, "right": 0.0, "false_positives": 0, "runs": 0, "subjects": []}
        found = out.setdefault(name, none)
        counts = found["confusion"].setdefault(case.reading, Counter())
        counts.update(readings)
        found["false_positives"] += sum(readings.get(r, 0) for r in case.never)
        row = {"subject": case.name, "truth": case.reading, "readings": dict(readings)}
        found["subjects"].append(row | {"right": readings.get(case.reading, 0) / seeds})
    for name, found in out.items():
        rows, false = found["subjects"], found["false_positives"]
        missed = [
            f"{name}: {r['subject']} is read as {r['truth']} in {r['right']:.0%} of the runs, the bound is {RIGHT:.0%}"
            for r in rows
            if r["right"] < RIGHT
        ]
        if false:
            missed.append(f"{name}: {false} runs of controls were read as what a control must never be")
        found |= {
            "right": sum(r["right"] for r in rows) / len(rows),
            "runs": seeds * len(rows),
            "missed": missed,
        }
    return out


def _readings(axis: str, case: Case, seeds: int, first: int, lifetimes: int) -> dict[str, int]:
    """How often each reading came out."""
    return Counter(read_cases(axis, case, seed, lifetimes) for seed in range(first, first + seeds))


def read_cases(axis: str, case: Case, seed: int, lifetimes: int) -> str:
    """What the axis reads in one run of a subject."""
    made: axes.Axis = catalogue.make("axes", axis)
    family = catalogue.make("families", case.family.format(seed=seed))
    subject = open_subject(case.subject, family)
    splits = case.splits or tuple(r for r in family.split_names if kind(r) in made.tested)
    asked = made.conditions_for(family)
    n = lifetimes * case.times
    lived = {
        split: rollout(subject, family, split, n, seed, conditions=asked, log_probs=False) for split in splits
    }
    verdict = made.read(lived, family)
    return "none" if verdict is None else verdict.reading
