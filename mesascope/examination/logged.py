"""Measures trials without the subject that made them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from mesascope import catalogue, trials
from mesascope.errors import MesascopeError
from mesascope.examination.examination import Examination
from mesascope.examination.measurement import measure
from mesascope.examination.runs import open_run
from mesascope.guards.blame import contained
from mesascope.logs import read_log
from mesascope.logs.curves import read_curves
from mesascope.questions.spectrum.placement import place
from mesascope.rollouts.inspected import read_eval
from mesascope.rollouts.replays import Replays


@contained()
def measure_log(
    path: Any,
    columns: Mapping[str, Any] | None = None,
    choices: int | None = None,
    metrics: Sequence[str] | None = None,
) -> tuple[list[Examination], list[str]]:
    """Measures trials without the subject that made them.

    Args:
        path: a .nc of ours, a log that `mesascope.logs.read_log` reads, a DataFrame or a Dataset.
        columns: your names for ours.
        choices: how many there were, where not all occur.
        metrics: which; by default all.

    Returns:
        One examination per subject in the file, and what was decided in reading it.
    """
    asked = [catalogue.make("metrics", p) for p in metrics or catalogue.names("metrics")]
    if isinstance(path, str | os.PathLike) and Path(path).suffix in (".nc", ".eval"):
        folder = Path(path).parent
        if Path(path).suffix == ".eval":
            log = read_eval(os.fspath(path))
            known = [({str(log.attrs["split"]): log}, {}, "unknown")]
        elif Path(path).name == "trials.nc" and (folder / "findings.json").is_file():
            known = [(e.trials, e.references, e.trained_on) for e in open_run(folder)[0]]
        else:
            known = _by_subject(trials.open_trials(path))
        out = []
        for lived, references, trained_on in known:
            some = next(iter(lived.values())).attrs
            try:
                placement = place(lived, references, trained_on)
            except MesascopeError:
                placement = None
            found = measure(asked, lived, references, Replays())
            out.append(
                Examination(
                    str(some["subject"]), str(some["family"]), trained_on, lived, references, found, placement
                )
            )
        return out, []
    if curves := read_curves(path, columns):
        logs, notes = curves
    else:
        log, notes = read_log(path, columns, choices)
        logs = [log]
    out = []
    for log in logs:
        lived = {str(log.attrs["split"]): log}
        found = measure(asked, lived, replay=Replays())
        out.append(Examination(str(log.attrs["subject"]), "log", "unknown", lived, {}, found, None))
    return out, notes


def _by_subject(groups: Mapping[str, xr.Dataset]) -> list[tuple[Any, Any, str]]:
    """Trials per split, references per role and training tasks of each subject in a file without its run's folder.

    Groups are named 's0 SPLIT' and 's0 ROLE SPLIT' by a run; reference procedures that several subjects share
    stand with the first. Groups of other names are splits of the subject that they name.
    """
    out: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for name, lived in groups.items():
        split, *before = reversed(name.split(" "))
        who, role = (
            (before[-1], " ".join(reversed(before[:-1]))) if before else (str(lived.attrs.get("subject")), "")
        )
        splits, references = out.setdefault(who, ({}, {}))
        (references.setdefault(role, {}) if role else splits)[split] = lived
    told = [(splits, references) for splits, references in out.values() if splits]
    return [(r, f, str(next(iter(r.values())).attrs.get("trained_on", "unknown"))) for r, f in told]
