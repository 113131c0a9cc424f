"""Measures and places trials without the subject that produced them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from mesascope import trials as files
from mesascope.catalogue import make_plugins
from mesascope.contracts import Metric
from mesascope.errors import MesascopeError
from mesascope.examination.examination import Examination
from mesascope.examination.measurement import TrialsBySplit, adjust_findings, apply_metrics
from mesascope.examination.participants import contrast_groups, measure_participants
from mesascope.examination.runs import read_run
from mesascope.guards.blame import prevent_exits
from mesascope.logs import read_log
from mesascope.logs.curves import read_curves
from mesascope.questions.spectrum.placement import Rule
from mesascope.questions.spectrum.placement import place as put_on_spectrum
from mesascope.rollouts.inspected import read_eval
from mesascope.rollouts.replays import Replays


class SubjectTrials(NamedTuple):
    """A subject's trials by split, the references' trials by role and split, and the name of its training tasks."""

    trials: TrialsBySplit
    references: Mapping[str, TrialsBySplit]
    trained_on: str


@prevent_exits()
def measure(
    trials: Any,
    metrics: Sequence[Metric | str] | Metric | str | None = None,
    *,
    columns: Mapping[str, Any] | None = None,
    choices: int | None = None,
    **log_options: Any,
) -> Any:
    """Measures trials without the subject that produced them: a log, or the result of `rollout`.

    Args:
        trials: a path, list of paths or DataFrame that `read_log` reads, a .nc or .eval file, a folder that `examine`
            wrote, the result of `rollout`, a mapping of such results by split, or an `Examination`.
        metrics: one or several metrics, by name or as objects; by default all.
        columns: the names of your columns by role, such as {'action': 'choice'}.
        choices: the number of choices, if some of them do not occur in the log.
        log_options: the arguments 'missing', 'where' and 'rt' of `read_log`.

    Returns:
        An `Examination`; a list of examinations if there are several subjects.

    Raises:
        MesascopeError: the trials cannot be read, or a metric is unknown.
    """
    metric_list = make_plugins("metrics", metrics)
    if (subjects := _read_subjects(trials)) is None:
        examinations = _examine_log(metric_list, trials, columns, choices, log_options)
    else:
        examinations = [_examine_trials(metric_list, *subject) for subject in subjects]
    return examinations[0] if len(examinations) == 1 else examinations


def place(
    trials: Any,
    references: Mapping[str, TrialsBySplit] | None = None,
    *,
    trained_on: str | None = None,
    rule: Rule | None = None,
) -> Any:
    """Places a subject on the spectrum from its trials in a family of tasks.

    Args:
        trials: an `Examination`, a folder that `examine` wrote, the result of `rollout` under the conditions of
            `examine`, or a mapping of such results by split.
        references: by role, a reference procedure's trials by split; by default the references in `trials`.
        trained_on: the subject's training tasks, which are 'unlimited', 'bank:M@seed' (M tasks drawn by seed),
            'at-most:M' (M tasks or fewer) or 'unknown'; by default the value in the trials.
        rule: the constants of the placement rule; by default those of `Rule`.

    Returns:
        A `Placement`; a list of placements if there are several subjects.

    Raises:
        MesascopeError: the trials are a log, or a split or a condition is missing.
    """
    if (subjects := _read_subjects(trials)) is None:
        problem = "A log of choices cannot be placed: the rule needs lifetimes in which conditions disturb the subject."
        raise MesascopeError(problem, "Give the result of `examine` or `rollout`, or use `measure`.")
    placements = [
        put_on_spectrum(subject.trials, references or subject.references, trained_on or subject.trained_on, rule)
        for subject in subjects
    ]
    return placements[0] if len(placements) == 1 else placements


def _examine_log(
    metrics: Sequence[Metric],
    source: Any,
    columns: Mapping[str, Any] | None,
    choices: int | None,
    log_options: Mapping[str, Any],
) -> list[Examination]:
    """Reads and measures a log of choices or of curves, and returns its examinations."""
    if not log_options and (curves := read_curves(source, columns)):
        logs, notes = curves
    else:
        log, notes = read_log(source, columns, choices, **log_options)
        logs = [log]
    examinations = []
    for log in logs:
        by_split, found = {str(log.attrs.get("split", "logged")): log}, []
        answers = apply_metrics(metrics, by_split, replay=Replays(), collected_readings=found)
        values = measure_participants(found, log) if "logged" in by_split else []
        contrasts = contrast_groups(values, {metric.name: metric for metric, _ in found}, log)
        answers = adjust_findings([*answers, *contrasts])
        identity = (str(log.attrs.get("subject", "unknown")), "log", "unknown")
        examinations.append(Examination(*identity, by_split, {}, answers, None, tuple(notes), tuple(values)))
    return examinations


def _read_subjects(source: Any) -> list[SubjectTrials] | None:
    """Reads trials of rollouts, subject by subject; returns None if the source is a log."""
    if isinstance(source, Examination):
        return [SubjectTrials(source.trials, source.references, source.trained_on)]
    if isinstance(source, xr.Dataset) and "condition" in source.dims:
        source = {str(source.attrs.get("split", "fresh")): source}
    if isinstance(source, Mapping) and all(isinstance(one, xr.Dataset) for one in source.values()):
        return [SubjectTrials(source, {}, _read_trained_on(source))]
    if not isinstance(source, str | os.PathLike):
        return None
    path = Path(source)
    if path.suffix == ".eval":
        log = read_eval(str(path))
        return [SubjectTrials({str(log.attrs.get("split", "logged")): log}, {}, "unknown")]
    folder = path.parent if path.name == "trials.nc" else path
    if (folder / "findings.json").is_file():
        return [SubjectTrials(e.trials, e.references, e.trained_on) for e in read_run(folder)[0]]
    return _group_by_subject(files.open_trials(path)) if path.suffix == ".nc" else None


def _examine_trials(
    metrics: Sequence[Metric], trials: TrialsBySplit, references: Mapping[str, TrialsBySplit], trained_on: str
) -> Examination:
    """Measures a subject from trials of rollouts, and places it if these trials are sufficient."""
    attrs = next(iter(trials.values())).attrs
    try:
        placement = put_on_spectrum(trials, references, trained_on)
    except MesascopeError:
        placement = None
    findings = apply_metrics(metrics, trials, references, Replays())
    subject, family = str(attrs.get("subject", "unknown")), str(attrs.get("family", "log"))
    return Examination(subject, family, trained_on, trials, references, findings, placement)


def open_run(folder: str | os.PathLike) -> Any:
    """Reads a folder that `mesascope examine`, `measure` or `demo` wrote.

    Returns:
        An `Examination`; a list of examinations if there are several subjects.

    Raises:
        MesascopeError: there is no such folder, or a file in it is missing or was not written by mesascope.
    """
    examinations = read_run(folder)[0]
    return examinations[0] if len(examinations) == 1 else examinations


def _group_by_subject(groups: Mapping[str, xr.Dataset]) -> list[SubjectTrials]:
    """Groups the trials in a .nc file by subject, if the file is not in the folder of its run.

    A run names its groups 's0 SPLIT' and 's0 ROLE SPLIT'. If subjects share a reference, only the first subject
    has a group for this reference. Any other group is a split of the subject that the group's attributes name.
    """
    subjects: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for name, trials in groups.items():
        split, *prefix = reversed(name.split(" "))
        subject, role = str(trials.attrs.get("subject")), ""
        if prefix:
            subject, role = prefix[-1], " ".join(reversed(prefix[:-1]))
        splits, references = subjects.setdefault(subject, ({}, {}))
        (references.setdefault(role, {}) if role else splits)[split] = trials
    return [SubjectTrials(*pair, _read_trained_on(pair[0])) for pair in subjects.values() if pair[0]]


def _read_trained_on(trials: TrialsBySplit) -> str:
    """Reads what the subject was trained on from the attributes of its trials."""
    return str(next(iter(trials.values())).attrs.get("trained_on", "unknown"))
