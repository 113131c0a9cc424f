"""Runs the rollouts that the metrics need, places the subjects and applies every metric."""

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from mesascope.agents.opening import find_default_family, open_family, open_subject, open_subjects
from mesascope.catalogue import make_list, make_plugins
from mesascope.contracts import Family, Metric, Reading, ScriptedSubject, Subject
from mesascope.contracts import axis as axes
from mesascope.errors import MesascopeWarning, make_unknown_name_error, require
from mesascope.examination.bench import ProgressFunction, RolloutCache
from mesascope.examination.measurement import apply_metrics
from mesascope.examination.participants import ParticipantValue
from mesascope.findings import COLUMNS, Finding
from mesascope.guards import gate
from mesascope.guards.blame import prevent_exits
from mesascope.precision import use_single_precision
from mesascope.questions.spectrum.placement import Placement, Rule, list_conditions
from mesascope.reporting.headlines import HEADLINES
from mesascope.rollouts.leaks import refuse_leaks
from mesascope.rollouts.replays import Replays

QUICK_LIFETIMES = 64
QUICK_SPLITS = ("seen", "fresh")  # whether a subject locates is read from both


@dataclasses.dataclass(frozen=True)
class Examination:
    """The results of examining one subject.

    Attributes:
        subject: the subject's name.
        family: the name of the family with the subject's bank, as a user would type it.
        trained_on: the tasks that the subject was trained on: 'unlimited', 'bank:M@seed' (M tasks drawn by seed),
            'at-most:M' (M tasks or fewer) or 'unknown'.
        trials: by split, the subject's trials, with axes condition, lifetime, trial.
        references: by role and split, the trials of the reference procedures on the same tasks.
        answers: the findings of all metrics, in the order of the metrics.
        placement: the subject's level on the spectrum; None if the fresh split did not run.
        notes: how a log was read, one sentence each.
        participants: the values of every participant of a log, as rows for a pandas.DataFrame.
        kind: 'trained' (a network of this package), 'scripted', or 'outside' (a user's own subject, or from a log).
        readings: the metrics that apply, each with its numbers per lifetime; () for a run that was read from a folder.
    """

    subject: str
    family: str
    trained_on: str
    trials: Mapping[str, xr.Dataset]
    references: Mapping[str, Mapping[str, xr.Dataset]]
    answers: list[Finding]
    placement: Placement | None
    notes: tuple[str, ...] = ()
    participants: tuple[ParticipantValue, ...] = ()
    kind: str = "outside"
    readings: tuple[tuple[Metric, Sequence[Reading]], ...] = dataclasses.field(default=(), repr=False)

    @property
    def findings(self) -> pd.DataFrame:
        """A table with one row per finding: metric, split, estimate, low, high, n, unit, status, reason, …"""
        rows = [{name: getattr(finding, name) for name in COLUMNS} for finding in self.answers]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def get_finding(self, metric: str, split: str = "") -> Finding:
        """Returns the finding of one metric on one split: by default 'fresh', or 'logged' for a log.

        Raises:
            MesascopeError: there is no such finding on that split.
        """
        split = split or ("logged" if "logged" in self.trials else "fresh")
        on_split = {f.metric: f for f in self.answers if f.split == split}
        if metric not in on_split:
            raise make_unknown_name_error(f"finding on {split!r} called", metric, on_split)
        return on_split[metric]

    def plot(self, name: str = "adaptation") -> Any:
        """Draws a figure of the report in matplotlib: 'adaptation', 'lifetimes', 'splits', 'conditions', 'spectrum', …

        Raises:
            MesascopeError: this examination has no data for that figure.
        """
        from mesascope.reporting import plot

        return plot([self], name)

    def report(self, path: str | os.PathLike, command: str = "") -> Path:
        """Writes the report of this examination as one self-contained HTML file.

        Args:
            path: the file to write.
            command: the command that repeats the run; '' leaves it out of the report.

        Returns:
            The path of the file.
        """
        from mesascope.reporting import write_report

        return write_report([self], path, command)

    def __repr__(self) -> str:
        level = self.placement.describe() if self.placement else "not placed"
        return f"<Examination of {self.subject} on {self.family}: {level}; {len(self.answers)} findings>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{f._repr_html_()}</li>" for f in self.answers if f.status == "measured")
        head = self.placement._repr_html_() if self.placement else ""
        return f"{head}<ul>{rows}</ul>"


def find_subject_kind(subject: Subject) -> str:
    """Finds the kind of a subject: 'scripted', 'trained' (a network of this package), or 'outside' (a user's own)."""
    module = type(subject).__module__
    if isinstance(subject, ScriptedSubject) or module.startswith("mesascope.worlds."):
        return "scripted"
    return "trained" if module.startswith("mesascope.agents.networks.") else "outside"


@prevent_exits()
@use_single_precision()
def examine(
    subjects: Any,
    family: Family | str | None = None,
    *,
    trained_on: str | None = None,
    splits: Sequence[str] | str | None = None,
    metrics: Sequence[Metric | str] | Metric | str | None = None,
    lifetimes: int | None = None,
    seed: int = 0,
    out: str | os.PathLike | None = None,
    rule: Rule | None = None,
    progress: ProgressFunction = lambda share, doing: None,
    trust: bool = False,
    quick: bool = False,
) -> Any:
    """Examines one or several subjects on the same tasks.

    Args:
        subjects: a Subject, a function f(percept, state, rng), a file, or a name such as 'thompson'. For several
            subjects, a list of these, or a mapping whose keys are the names that the reports show.
        family: a family or its name with settings, such as 'bernoulli_bandit:arms=5,trials=100'; by default
            the family that is stored in the first file among the subjects.
        trained_on: the training tasks: 'unlimited', 'bank:M@seed' (M tasks drawn by seed), 'at-most:M' (M tasks or
            fewer) or 'unknown'; by default the value that the subject states.
        splits: the name of a split, or several names; by default all splits of the family.
        metrics: one or several metrics, by name or as objects; by default all.
        lifetimes: the number of lifetimes on every split; by default 512, or 64 with `quick`.
        seed: the seed of the tasks and of all draws.
        out: a folder for finished rollouts; a stopped run continues from this folder.
        rule: the constants of the placement rule; by default those of `Rule`.
        progress: a function that is called with the finished share of the work, and with a text that names what runs.
        trust: whether code from a subject's file may run.
        quick: whether a provisional level is enough, by default from 64 lifetimes on fresh tasks and tasks of the bank,
            with the four numbers of the summary alone.

    Returns:
        An `Examination`; a list of examinations, in the order of the subjects, if `subjects` is a list, a tuple or a
        mapping.

    Raises:
        MesascopeError: there is no such subject, family, split or metric, a subject's actions depend on other lifetimes
            or on earlier calls, or a subject changes while it is examined.
    """
    if quick:
        splits, metrics = splits or QUICK_SPLITS, metrics or [metric for *_, metric in HEADLINES.values()]
    lifetimes = lifetimes or (QUICK_LIFETIMES if quick else 512)
    is_several = isinstance(subjects, list | tuple | Mapping)
    specs = (list(subjects.values()) if isinstance(subjects, Mapping) else subjects) if is_several else [subjects]
    gate.allow_from_python(family, *specs)
    base = open_family(family or find_default_family(specs, trust))
    group = open_subjects(subjects, base, trust)
    metric_list, splits = make_plugins("metrics", metrics), make_list(splits)
    labels = [*list_conditions(base, rule), *(c for p in metric_list for c in p.conditions)]
    folder, beyond = Path(out).absolute() if out else None, axes.list_conditions_of_axes(base)
    bench = RolloutCache(base, labels, splits, lifetimes, seed, out=folder, progress=progress, extra_split_kinds=beyond)
    families = [bench.find_family(trained_on or subject.trained_on) for subject in group]
    bench.refuse_large_runs(families[0], len(group))
    for subject, home in zip(group, families, strict=True):
        if announcement := subject.describe_cost(bench.count_responses(home)):
            warnings.warn(announcement, MesascopeWarning, stacklevel=2)
        problem = f"{home.name} has none of the splits {', '.join(splits or ())}."
        require(
            bool(bench.list_splits(home)),
            problem,
            "Add fresh to the splits, or give the family a bank for the split seen.",
        )
        bench.get_identity(subject)
        # refuses a faulty subject before any subject runs
        refuse_leaks(subject, home, seed, bench.compiled_conditions)
    family_without_bank = base.with_bank(None)
    controls = {role: open_subject(name, family_without_bank) for role, name in base.controls.items()}
    bench.set_expected_work(len(group) + sum(c.name not in {s.name for s in group} for c in controls.values()))
    pending_answers = {}
    with ThreadPoolExecutor(1) as pool:  # controls are measured while the next subject is compiled
        for role, control in controls.items():
            if trials := bench.run_subject(control, family_without_bank, is_shared=True):
                expected_metrics = [metric for metric in metric_list if role in metric.expected_signs]
                references = bench.run_references(family_without_bank)
                pending_answers[role] = pool.submit(
                    apply_metrics, expected_metrics, trials, references, Replays(control)
                )
        placements: list[Any] = [bench.place(subject, trained_on or subject.trained_on, rule) for subject in group]
        control_findings = {role: pending.result() for role, pending in pending_answers.items()}
    for i, subject in enumerate(group):
        floor, reason = subject.measure_drift()
        problem = f"{subject.name} changed since the start: {reason}."
        require(not reason, problem, "Examine it again at a time when it does not change.")
        if floor:
            with_floor = {split: trials.assign_attrs(floor=floor) for split, trials in placements[i][0].items()}
            placements[i] = (with_floor, *placements[i][1:])
    results = []
    for subject, home, (trials, references, placement) in zip(group, families, placements, strict=True):
        training = trained_on or subject.trained_on
        trials = {split: data.assign_attrs(trained_on=training) for split, data in trials.items()}
        readings: list[tuple[Metric, Sequence[Reading]]] = []
        findings = apply_metrics(metric_list, trials, references, Replays(subject), control_findings, readings)
        identity = subject.name, home.name, training
        kind = find_subject_kind(subject)
        if quick and placement:
            placement = dataclasses.replace(
                placement, reason=f"{_describe_quick_level(lifetimes, trials)}: {placement.reason}"
            )
        results.append(
            Examination(*identity, trials, references, findings, placement, kind=kind, readings=tuple(readings))
        )
    return results if is_several else results[0]


def _describe_quick_level(lifetimes: int, trials: Mapping[str, Any]) -> str:
    """Says that a quick level is provisional, and what would settle it."""
    return (
        f"provisional ({lifetimes} lifetimes on {' and '.join(trials)} tasks; a run that is not quick uses all splits)"
    )
