"""Tests every axis on scripted subjects with known readings. A .toml file beside the axis lists these subjects."""

import importlib.util
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts import axis as axes
from mesascope.contracts import get_split_kind
from mesascope.rollouts.rollouts import rollout

MIN_RIGHT_SHARE = 0.95  # the smallest share of runs of one subject that must be read correctly
TRUTH_KEYS = {  # field of a case → its key in truth files, if the two differ
    **{"is_demanded": "demanded", "is_disputed": "disputed"},
    **{"forbidden_readings": "never", "lifetime_factor": "times"},
}


class Case(NamedTuple):
    """One entry of an axis's truth file: a scripted subject, its family, and the correct reading.

    If `splits` is empty, the case uses all splits on which the axis is tested. A control must not have any of the
    readings in `forbidden_readings`. `lifetime_factor` multiplies the number of lifetimes, for a case that is close to
    a limit.
    """

    name: str
    subject: str
    reading: str
    family: str
    splits: Sequence[str] = ()
    forbidden_readings: Sequence[str] = ()
    lifetime_factor: int = 1


def read_truth(path: Path, quick: bool) -> list[dict[str, Any]]:
    """Reads a truth file's entries, with its defaults filled in; with `quick`, only those of the short validation."""
    truth = tomllib.loads(path.read_text())
    rows = [{"name": name, "subject": name, **truth["defaults"], **row} for name, row in truth["subjects"].items()]
    return [row for row in rows if not quick or row.get("quick", True)]


def select_case_fields(case_type: type[NamedTuple], row: Mapping[str, Any]) -> Any:
    """Selects the fields of a case from one entry of a truth file; TRUTH_KEYS translates names that differ."""
    values = {field: row.get(TRUTH_KEYS.get(field, field)) for field in case_type._fields}
    return {field: tuple(v) if isinstance(v, list) else v for field, v in values.items() if v is not None}


def list_cases(axis: str, quick: bool = False) -> list[Case]:
    """Lists the cases of an axis; with `quick`, only those of the short validation.

    Without a truth file, the list is empty. Entries that need a package which is not installed are left out.
    """
    path = Path(str(catalogue.import_plugin_module("axes", axis).__file__)).with_suffix(".toml")
    if not path.is_file():
        return []
    rows = (row for row in read_truth(path, quick) if not row.get("needs") or importlib.util.find_spec(row["needs"]))
    return [Case(**select_case_fields(Case, row if row.get("control") else row | {"never": ()})) for row in rows]


def list_calls(
    n_seeds: int, first_seed: int, lifetimes: int, quick: bool = False, axis_name: str | None = None
) -> list[tuple]:
    """Lists the function calls that test every axis on its scripted subjects, in several runs of each.

    Args:
        n_seeds: the number of runs per subject.
        first_seed: the seed of the first run; each further run takes the next seed.
        lifetimes: the number of lifetimes per split and run.
        quick: whether to use only the entries of the short validation.
        axis_name: the name of one axis; None for all.
    """
    return [
        (_count_case_readings, name, case, n_seeds, first_seed, lifetimes)
        for name in catalogue.list_names("axes")
        if axis_name in (None, name)
        for case in list_cases(name, quick)
    ]


def count_readings(calls: list[tuple], answers: list[dict[str, int]], n_seeds: int) -> dict[str, dict[str, Any]]:
    """Summarises the readings that the calls returned.

    Returns:
        For each axis: `confusion` {truth: {reading: count}}, `subjects` with their readings, `right` (the share of
        runs with the correct reading), `false_positives` (how many runs of controls had a reading that they must
        never have), `runs`, and `missed` (the bounds that the axis missed).
    """
    results: dict[str, dict[str, Any]] = {}
    for (_, name, case, *_), readings in zip(calls, answers, strict=True):
        empty = {"confusion": {}, "right": 0.0, "false_positives": 0, "runs": 0, "subjects": []}
        result = results.setdefault(name, empty)
        result["confusion"].setdefault(case.reading, Counter()).update(readings)
        result["false_positives"] += sum(readings.get(reading, 0) for reading in case.forbidden_readings)
        row = {"subject": case.name, "truth": case.reading, "readings": dict(readings)}
        result["subjects"].append(row | {"right": readings.get(case.reading, 0) / n_seeds})
    for name, result in results.items():
        rows, false_positives = result["subjects"], result["false_positives"]
        missed = [
            f"{name}: {r['subject']} is read as {r['truth']} in {r['right']:.0%} of the runs; the bound is "
            f"{MIN_RIGHT_SHARE:.0%}"
            for r in rows
            if r["right"] < MIN_RIGHT_SHARE
        ]
        if false_positives:
            missed.append(f"{name}: {false_positives} runs of controls had a reading that a control must never have")
        result |= {"right": sum(r["right"] for r in rows) / len(rows), "runs": n_seeds * len(rows), "missed": missed}
    return results


def _count_case_readings(axis: str, case: Case, n_seeds: int, first_seed: int, lifetimes: int) -> dict[str, int]:
    """Counts how often an axis gave each reading to a subject."""
    return Counter(run_case(axis, case, seed, lifetimes) for seed in range(first_seed, first_seed + n_seeds))


def run_case(axis: str, case: Case, seed: int, lifetimes: int) -> str:
    """Runs a case once, and returns the axis's reading of the subject; 'none' if the axis does not apply."""
    question: axes.Axis = catalogue.make("axes", axis)
    family = catalogue.make("families", case.family.format(seed=seed))
    subject, n, trials = open_subject(case.subject, family), lifetimes * case.lifetime_factor, {}
    for split in case.splits or [
        name for name in family.split_names if get_split_kind(name) in question.tested_split_kinds
    ]:
        conditions = question.list_conditions(family, get_split_kind(split))
        trials[split] = rollout(subject, family, split, n, seed, conditions=conditions, should_keep_log_probs=False)
    verdict = question.read(trials, family)
    return "none" if verdict is None else verdict.reading
