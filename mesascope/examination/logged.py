"""Measures trials without the subject that made them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from mesascope import catalogue, trials
from mesascope.contracts.metric import Metric
from mesascope.errors import MesascopeError
from mesascope.examination.examination import Examination
from mesascope.examination.measurement import Splits, measure
from mesascope.examination.runs import open_run
from mesascope.guards.blame import contained
from mesascope.logs import read_log
from mesascope.logs.curves import read_curves
from mesascope.questions.spectrum.placement import place
from mesascope.rollouts.inspected import read_eval
from mesascope.rollouts.replays import Replays


class Known(NamedTuple):
    """Trials of a subject per split, of reference procedures by role, and what the subject was trained on."""

    trials: Splits
    references: Mapping[str, Splits]
    trained_on: str


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
        return [_examined(asked, *known) for known in _known(Path(path))], []
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


def _known(path: Path) -> list[Known]:
    """What a file of trials in our own families holds, subject by subject."""
    if path.suffix == ".eval":
        log = read_eval(str(path))
        return [Known({str(log.attrs["split"]): log}, {}, "unknown")]
    if path.name == "trials.nc" and (path.parent / "findings.json").is_file():
        return [Known(e.trials, e.references, e.trained_on) for e in open_run(path.parent)[0]]
    return _by_subject(trials.open_trials(path))


def _examined(
    asked: Sequence[Metric], lived: Splits, references: Mapping[str, Splits], trained_on: str
) -> Examination:
    """What is found of a subject in our own families, without it."""
    some = next(iter(lived.values())).attrs
    try:
        placement = place(lived, references, trained_on)
    except MesascopeError:
        placement = None
    found, who = measure(asked, lived, references, Replays()), (str(some["subject"]), str(some["family"]))
    return Examination(*who, trained_on, lived, references, found, placement)


def _by_subject(groups: Mapping[str, xr.Dataset]) -> list[Known]:
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
    return [
        Known(splits, references, str(next(iter(splits.values())).attrs.get("trained_on", "unknown")))
        for splits, references in out.values()
        if splits
    ]
