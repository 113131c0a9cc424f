"""A run's folder: trials.nc, findings.json, findings.csv, and the command that repeats it."""

import csv
import dataclasses
import json
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from mesascope import trials
from mesascope.errors import MesascopeError
from mesascope.examination.examination import Examination
from mesascope.files import replacing, write_text
from mesascope.findings import COLUMNS, from_json, to_json
from mesascope.guards import limits
from mesascope.guards.secrecy import redact
from mesascope.questions.spectrum.placement import Placement, Rule


def command_line(arguments: Sequence[str]) -> str:
    """The command that has these arguments, without user, password and query of addresses in them, and without keys."""
    whole = (re.sub(" *([,=]) *", r"\1", a).replace(" ", "%20") if "://" in a else a for a in arguments)
    return shlex.join(["mesascope", *map(redact, whole)])


def as_document(examinations: Sequence[Examination]) -> dict[str, Any]:
    """What `examine --json` prints: every subject's findings and placement."""
    return {
        "subjects": [
            {
                "subject": e.subject,
                "family": e.family,
                "trained_on": e.trained_on,
                "findings": [to_json(f) for f in e.answers],
                "placement": dataclasses.asdict(e.placement) if e.placement else None,
            }
            for e in examinations
        ]
    }


def unused_folder(folder: Path, command: str) -> Path:
    """The folder, or the first of folder-2, folder-3, … that holds nothing of another command.

    Args:
        folder: named after what is run.
        command: what repeats the run; it may ask for --json or not.
    """

    def asked(text: str) -> list[str]:
        return [word for word in text.split() if word != "--json"]

    def others(tried: Path) -> bool:
        told = tried / "command.txt"
        if not told.is_file() or not ((tried / "findings.json").exists() or (tried / "rollouts").exists()):
            return False
        return asked(told.read_text(errors="replace")) != asked(command)

    tried, number = folder, 1
    while others(tried):
        number += 1
        tried = folder.with_name(f"{folder.name}-{number}")
    return tried


def prepare(folder: str | os.PathLike, command: str = "") -> Path:
    """The folder of a run, made where it is missing, found to be writable before anything is lived.

    Args:
        folder: made where it is missing.
        command: what repeats the run; put where no other run has ended, so that a stopped run keeps the folder.

    Raises:
        MesascopeError: it is a file, or nothing can be written there.
    """
    folder = Path(folder)
    trial = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise MesascopeError(
            f"{str(folder)!r} cannot be the folder of a run: {error.strerror}.",
            "Name another folder with --out.",
        ) from None
    if command and not (folder / "findings.json").exists():
        write_text(folder / "command.txt", command + "\n")
    return folder


def write(
    examinations: Sequence[Examination], folder: str | os.PathLike, command: str, lived: bool = True
) -> Path:
    """Writes a run; each file appears whole or not at all.

    Args:
        examinations: what was found.
        folder: made where it is missing.
        command: what repeats the run.
        lived: whether rollouts were kept there until now; a run that lived none leaves those of others.
    """
    folder = prepare(folder)
    groups: dict[str, xr.Dataset] = {}
    index: list[dict[str, Any]] = []
    shared: dict[int, str] = {}  # a reference that several subjects share is written once

    def put(prefix: str, splits: Mapping[str, xr.Dataset], known: dict[int, str]) -> dict[str, str]:
        for split, lived in splits.items():
            if id(lived) not in known:
                known[id(lived)] = f"{prefix} {split}"
                groups[known[id(lived)]] = lived
        return {split: known[id(lived)] for split, lived in splits.items()}

    for i, e in enumerate(examinations):
        references = {role: put(f"s{i} {role}", splits, shared) for role, splits in e.references.items()}
        index.append({"trials": put(f"s{i}", e.trials, {}), "references": references})
    trials.save(groups, folder / "trials.nc")
    write_text(folder / "index.json", json.dumps(index))
    write_text(folder / "findings.json", json.dumps(as_document(examinations), indent=1))
    write_text(folder / "command.txt", command + "\n")
    with replacing(folder / "findings.csv") as part, part.open("w", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        rows.writeheader()
        for e in examinations:
            rows.writerows({k: _cell(v) for k, v in to_json(f).items()} for f in e.answers)
    if lived:
        shutil.rmtree(folder / "rollouts", ignore_errors=True)  # they are in trials.nc now
    return folder


def read_run(folder: str | os.PathLike) -> tuple[list[Examination], str]:
    """Reads what `write` wrote: the examinations and the command.

    Raises:
        MesascopeError: no such folder, or a file in it is missing or not ours.
    """
    folder = Path(folder)
    if not (folder / "findings.json").is_file():
        raise MesascopeError(
            f"There is no findings.json in {str(folder)!r}.",
            "Name the folder that examine, measure or demo wrote.",
        )
    try:
        told = limits.parse_json((folder / "findings.json").read_text())["subjects"]
        index = limits.parse_json((folder / "index.json").read_text())
        groups = trials.open_trials(folder / "trials.nc")
        out = []

        def of(splits: Mapping[str, str]) -> dict[str, xr.Dataset]:
            return {split: groups[name] for split, name in splits.items()}

        for row, where in zip(told, index, strict=True):
            who = (row["subject"], row["family"], row["trained_on"])
            lived, found = of(where["trials"]), [from_json(f) for f in row["findings"]]
            references = {role: of(splits) for role, splits in where["references"].items()}
            out.append(Examination(*who, lived, references, found, _placement(row["placement"])))
        command = (folder / "command.txt").read_text().strip()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MesascopeError(
            f"The run in {str(folder)!r} is incomplete or broken: {type(error).__name__}: {error}.",
            "Run the command again; finished rollouts in its folder are not repeated.",
        ) from None
    return out, command


def _placement(data: dict[str, Any] | None) -> Placement | None:
    return Placement(**{**data, "rule": Rule(**data["rule"])}) if data else None


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(tuple("=+-@\t\r")) else value
