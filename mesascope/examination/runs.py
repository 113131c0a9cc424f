"""Writes and reads the folder of a run: trials.nc, findings.json, findings.csv, and the command of the run."""

import contextlib
import csv
import dataclasses
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from mesascope import formats, trials
from mesascope.contracts import Family, Subject, identify
from mesascope.errors import MesascopeError, require
from mesascope.examination.bench import describe_machine, hash_package
from mesascope.examination.examination import Examination
from mesascope.examination.participants import ParticipantValue
from mesascope.files import lock_folder, replace_when_written, write_text
from mesascope.findings import COLUMNS, from_dict, to_dict
from mesascope.guards import limits
from mesascope.guards.identity import are_modules_unchanged, list_loaded_modules
from mesascope.guards.secrecy import redact
from mesascope.questions.spectrum.placement import Placement, Rule
from mesascope.stats import CONFIDENCE


def format_command_line(arguments: Sequence[str]) -> str:
    """Formats the command with these arguments, without API keys, and without user, password and query of any URL."""
    words = (re.sub(" *([,=]) *", r"\1", a).replace(" ", "%20") if "://" in a else a for a in arguments)
    return shlex.join(["mesascope", *map(redact, words)])


def make_document(examinations: Sequence[Examination]) -> dict[str, Any]:
    """Converts the findings and the placement of every subject to plain data, which `examine --json` prints.

    Infinities and NaN become None: a span is None if more trials are needed than any condition leaves.
    """
    document = {
        "subjects": [
            {
                "subject": e.subject,
                "family": e.family,
                "trained_on": e.trained_on,
                "kind": e.kind,
                "findings": [to_dict(f) for f in e.answers],
                "placement": dataclasses.asdict(e.placement) if e.placement else None,
                **({"participants": [value._asdict() for value in e.participants]} if e.participants else {}),
            }
            for e in examinations
        ]
    }
    return formats.replace_non_finite(document)


def choose_unused_folder(folder: Path, command: str) -> Path:
    """Finds the first of folder, folder-2, folder-3, … that does not contain the results of another command.

    Args:
        folder: the default folder of the run.
        command: the command that repeats the run, with or without --json.
    """

    def list_words(text: str) -> list[str]:
        return [word for word in text.split() if word != "--json"]

    def has_other_results(candidate: Path) -> bool:
        command_file = candidate / "command.txt"
        has_results = any((candidate / name).exists() for name in ("findings.json", "rollouts"))
        if not (has_results and command_file.is_file()):
            return False
        return list_words(command_file.read_text(errors="replace")) != list_words(command)

    candidate, number = folder, 1
    while has_other_results(candidate):
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def prepare_folder(folder: str | os.PathLike, command: str = "") -> Path:
    """Creates the folder of a run if it is missing, and tests whether the folder is writable.

    Args:
        folder: the folder of the run.
        command: the command that repeats the run. The command is written to the folder unless there is a finished run,
            so that the same command finds the folder of a stopped run again.

    Raises:
        MesascopeError: the folder is a file, or it is not writable.
    """
    folder = Path(folder)
    test_file = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        test_file.touch()
        test_file.unlink()
    except OSError as error:
        problem = f"{str(folder)!r} cannot be the folder of a run: {error.strerror}."
        raise MesascopeError(problem, "Name another folder with --out.") from None
    if command and not (folder / "findings.json").exists():
        write_text(folder / "command.txt", command + "\n")
    return folder


@contextlib.contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Keeps other runs out of a run's folder inside this context.

    Raises:
        MesascopeError: another run is working in the folder.
    """
    with lock_folder(folder) as is_locked:
        remedy = "Wait until it has ended, or name another folder with --out."
        require(is_locked, f"Another run is working in {str(folder)!r}.", remedy)
        yield


def describe_code(subjects: Sequence[Subject], family: Family) -> dict[str, Any]:
    """Describes everything that determines the results of a command: subjects, family, package, machine, modules."""
    inputs = [[s.name, identify(s)] for s in subjects] + [[family.name, family.compute_code_hash()]]
    return {
        "inputs": inputs,
        "package": hash_package(),
        "machine": describe_machine(),
        "modules": list_loaded_modules(),
    }


def is_finished(folder: Path, command: str, code: Mapping[str, Any]) -> bool:
    """Whether a folder contains the results of the same command with the same code; `describe_code` describes it."""
    try:
        is_same_command = (folder / "command.txt").read_text().strip().replace(" --json", "") == command.replace(
            " --json", ""
        )
        stored = limits.parse_json((folder / "code.json").read_text())
        modules = stored.pop("modules")
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    is_same_code = all(stored.get(k) == v for k, v in code.items() if k != "modules")
    return is_same_command and is_same_code and (folder / "findings.json").is_file() and are_modules_unchanged(modules)


def write_run(
    examinations: Sequence[Examination], folder: str | os.PathLike, command: str, should_delete_rollouts: bool = True
) -> Path:
    """Writes the folder of a run; no incomplete file is left.

    Args:
        examinations: the results of the run.
        folder: the folder of the run, created if missing.
        command: the command that repeats the run.
        should_delete_rollouts: whether this run wrote the rollouts in the folder, and may therefore delete them. The
            command `measure` writes no rollouts.
    """
    folder = prepare_folder(folder)
    groups: dict[str, xr.Dataset] = {}
    index: list[dict[str, Any]] = []
    shared_groups: dict[int, str] = {}  # a reference that several subjects share is written once

    def add_groups(prefix: str, datasets: Mapping[str, xr.Dataset], names: dict[int, str]) -> dict[str, str]:
        for split, dataset in datasets.items():
            if id(dataset) not in names:
                names[id(dataset)] = f"{prefix} {split}"
                groups[names[id(dataset)]] = dataset
        return {split: names[id(dataset)] for split, dataset in datasets.items()}

    for i, examination in enumerate(examinations):
        references = {
            role: add_groups(f"s{i} {role}", splits, shared_groups) for role, splits in examination.references.items()
        }
        index.append({"trials": add_groups(f"s{i}", examination.trials, {}), "references": references})
    trials.save_trials(groups, folder / "trials.nc")
    write_text(folder / "index.json", json.dumps(index))
    write_text(folder / "findings.json", json.dumps(make_document(examinations), indent=1, allow_nan=False))
    write_text(folder / "command.txt", command + "\n")
    with replace_when_written(folder / "findings.csv") as part, part.open("w", newline="") as file:
        more = ("participant", "group") if any(e.participants for e in examinations) else ()
        rows = csv.DictWriter(file, COLUMNS + more, extrasaction="ignore")
        rows.writeheader()
        for examination in examinations:
            rows.writerows({k: _escape_formula(v) for k, v in to_dict(f).items()} for f in examination.answers)
            same = {"subject": examination.subject, "family": "log", "split": "logged", "unit": "trial"}
            same |= {"confidence": CONFIDENCE, "status": "measured"}
            own_rows = [same | value._asdict() for value in examination.participants]
            rows.writerows({k: _escape_formula(v) for k, v in row.items()} for row in own_rows)
    if should_delete_rollouts:
        shutil.rmtree(folder / "rollouts", ignore_errors=True)  # trials.nc contains them now
    return folder


def read_run(folder: str | os.PathLike) -> tuple[list[Examination], str]:
    """Reads the examinations and the command that `write_run` wrote.

    Raises:
        MesascopeError: there is no such folder, or a file in it is missing or was not written by mesascope.
    """
    folder = Path(folder)
    require(
        (folder / "findings.json").is_file(),
        f"There is no findings.json in {str(folder)!r}.",
        "Name the folder that examine, measure or demo wrote.",
    )
    try:
        subject_rows = limits.parse_json((folder / "findings.json").read_text())["subjects"]
        index = limits.parse_json((folder / "index.json").read_text())
        groups = trials.open_trials(folder / "trials.nc")
        examinations = []

        def read_splits(splits: Mapping[str, str]) -> dict[str, xr.Dataset]:
            return {split: groups[name] for split, name in splits.items()}

        for row, entry in zip(subject_rows, index, strict=True):
            identity = (row["subject"], row["family"], row["trained_on"])
            datasets, findings = read_splits(entry["trials"]), [from_dict(f) for f in row["findings"]]
            references = {role: read_splits(splits) for role, splits in entry["references"].items()}
            placement = _make_placement(row["placement"])
            values = tuple(ParticipantValue(**value) for value in row.get("participants", ()))
            kind = row.get("kind", "outside")
            examinations.append(
                Examination(*identity, datasets, references, findings, placement, participants=values, kind=kind)
            )
        command = (folder / "command.txt").read_text().strip()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MesascopeError(
            f"The run in {str(folder)!r} is incomplete or broken: {type(error).__name__}: {error}.",
            "Run the command again; finished rollouts in its folder are not repeated.",
        ) from None
    return examinations, command


def _make_placement(data: dict[str, Any] | None) -> Placement | None:
    """Makes a placement from the plain data in findings.json; None if the subject was not placed."""
    if not data:
        return None
    return Placement(**{**data, "rule": Rule(**formats.rename_old_keys(data["rule"], formats.OLD_RULE_CONSTANTS))})


def _escape_formula(value: Any) -> Any:
    """Puts a quotation mark before a cell's value if a spreadsheet program would take the value for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(tuple("=+-@\t\r")) else value
