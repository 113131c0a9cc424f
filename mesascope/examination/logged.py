"""Measures and places trials without the subject that made them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from mesascope import trials as files
from mesascope.catalogue import open_all
from mesascope.contracts.metric import Metric
from mesascope.errors import MesascopeError
from mesascope.examination.examination import Examination
from mesascope.examination.measurement import Splits, answer
from mesascope.examination.runs import read_run
from mesascope.guards.blame import contain_exits
from mesascope.logs import read_log
from mesascope.logs.curves import read_curves
from mesascope.questions.spectrum.placement import Rule
from mesascope.questions.spectrum.placement import place as put_on_spectrum
from mesascope.rollouts.inspected import read_eval
from mesascope.rollouts.replays import Replays


class Known(NamedTuple):
    """Trials of a subject per split, of reference procedures by role, and what the subject was trained on."""

    trials: Splits
    references: Mapping[str, Splits]
    trained_on: str


@contain_exits()
def measure(
    trials: Any,
    metrics: Sequence[Metric | str] | Metric | str | None = None,
    *,
    columns: Mapping[str, Any] | None = None,
    choices: int | None = None,
) -> Any:
    """Measures trials without the subject that made them: logged ones, or what `rollout` returned.

    Args:
        trials: a path or DataFrame that `read_log` reads, a .nc or .eval file, a folder that `examine` wrote, what
            `rollout` returned, a mapping of that by split, or an `Examination`.
        metrics: one or several, by name or as objects; by default all.
        columns: your names for ours.
        choices: how many there were, where not all occur.

    Returns:
        An `Examination`; a list of them, where there are several subjects.

    Raises:
        MesascopeError: the trials cannot be read, or a metric is unknown.
    """
    asked = open_all("metrics", metrics)
    if (known := _known(trials)) is None:
        found = _logged(asked, trials, columns, choices)
    else:
        found = [_examined(asked, *one) for one in known]
    return found[0] if len(found) == 1 else found


def place(
    trials: Any,
    references: Mapping[str, Splits] | None = None,
    *,
    trained_on: str | None = None,
    rule: Rule | None = None,
) -> Any:
    """Places a subject on the spectrum by its trials in one of our families.

    Args:
        trials: an `Examination`, a folder that `examine` wrote, what `rollout` returned under the conditions that
            `examine` runs, or a mapping of that by split.
        references: by role, a reference procedure's trials by split; by default those that `trials` comes with.
        trained_on: 'unlimited', 'bank:M@seed' or 'unknown'; by default what the trials say.
        rule: the constants of the rule.

    Returns:
        A `Placement`; a list of them, where there are several subjects.

    Raises:
        MesascopeError: the trials are a log, or a split or a condition is missing.
    """
    if (known := _known(trials)) is None:
        raise MesascopeError(
            "A log of choices cannot be placed: the rule compares with undisturbed lifetimes of the same subject.",
            "Give what `examine` or `rollout` returned, or use `measure`.",
        )
    placed = [
        put_on_spectrum(one.trials, references or one.references, trained_on or one.trained_on, rule)
        for one in known
    ]
    return placed[0] if len(placed) == 1 else placed


def _logged(
    asked: Sequence[Metric], source: Any, columns: Mapping[str, Any] | None, choices: int | None
) -> list[Examination]:
    """What is found in a log of choices or of curves."""
    if curves := read_curves(source, columns):
        logs, notes = curves
    else:
        log, notes = read_log(source, columns, choices)
        logs = [log]
    found = []
    for log in logs:
        by_split = {str(log.attrs["split"]): log}
        answers = answer(asked, by_split, replay=Replays())
        who = (str(log.attrs["subject"]), "log", "unknown")
        found.append(Examination(*who, by_split, {}, answers, None, tuple(notes)))
    return found


def _known(source: Any) -> list[Known] | None:
    """Trials in our own families, subject by subject; None where the source is a log."""
    if isinstance(source, Examination):
        return [Known(source.trials, source.references, source.trained_on)]
    if isinstance(source, xr.Dataset) and "condition" in source.dims:
        source = {str(source.attrs.get("split", "fresh")): source}
    if isinstance(source, Mapping) and all(isinstance(one, xr.Dataset) for one in source.values()):
        return [Known(source, {}, str(next(iter(source.values())).attrs.get("trained_on", "unknown")))]
    if not isinstance(source, str | os.PathLike):
        return None
    path = Path(source)
    if path.suffix == ".eval":
        log = read_eval(str(path))
        return [Known({str(log.attrs["split"]): log}, {}, "unknown")]
    folder = path.parent if path.name == "trials.nc" else path
    if (folder / "findings.json").is_file():
        return [Known(e.trials, e.references, e.trained_on) for e in read_run(folder)[0]]
    return _by_subject(files.open_trials(path)) if path.suffix == ".nc" else None


def _examined(
    asked: Sequence[Metric], lived: Splits, references: Mapping[str, Splits], trained_on: str
) -> Examination:
    """What is found of a subject in our own families, without it."""
    some = next(iter(lived.values())).attrs
    try:
        placement = put_on_spectrum(lived, references, trained_on)
    except MesascopeError:
        placement = None
    found, who = answer(asked, lived, references, Replays()), (str(some["subject"]), str(some["family"]))
    return Examination(*who, trained_on, lived, references, found, placement)


def open_run(folder: str | os.PathLike) -> Any:
    """What `examine`, `measure` or `demo` wrote into a folder.

    Returns:
        An `Examination`; a list of them, where there are several subjects.

    Raises:
        MesascopeError: no such folder, or a file in it is missing or not ours.
    """
    found = read_run(folder)[0]
    return found[0] if len(found) == 1 else found


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
