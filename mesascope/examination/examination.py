"""Everything that some metric needs, rolled out once; then every metric, then the placement."""

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from mesascope.agents.opening import default_family, open_family, open_subject, open_subjects
from mesascope.catalogue import as_list, open_all
from mesascope.contracts import axis as axes
from mesascope.contracts.family import Family
from mesascope.contracts.metric import Metric
from mesascope.errors import MesascopeError, MesascopeWarning, unknown
from mesascope.examination.bench import Bench, Progress
from mesascope.examination.measurement import answer
from mesascope.findings import COLUMNS, Finding
from mesascope.guards import gate
from mesascope.guards.blame import contain_exits
from mesascope.questions.spectrum.placement import Placement, Rule, conditions
from mesascope.rollouts.leaks import refuse_leaks
from mesascope.rollouts.replays import Replays


@dataclasses.dataclass(frozen=True)
class Examination:
    """What was found of one subject.

    Attributes:
        subject: its name.
        family: the family with the subject's bank, as one would type it.
        trained_on: 'unlimited', 'bank:M@seed' or 'unknown'.
        trials: its data set per split, axes condition, lifetime, trial.
        references: by role, the data sets of the reference procedures on the same tasks.
        answers: every metric's findings, as objects.
        placement: where it stands on the spectrum; None where there was nothing to place.
        notes: what was decided in reading a file.
    """

    subject: str
    family: str
    trained_on: str
    trials: Mapping[str, xr.Dataset]
    references: Mapping[str, Mapping[str, xr.Dataset]]
    answers: list[Finding]
    placement: Placement | None
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> pd.DataFrame:
        """One row per finding: metric, split, estimate, low, high, n, unit, status, reason, …"""
        rows = [{name: getattr(finding, name) for name in COLUMNS} for finding in self.answers]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def finding(self, metric: str, split: str = "fresh") -> Finding:
        """One finding, by the metric's name and the split.

        Raises:
            MesascopeError: there is none of that name on that split.
        """
        on_split = {f.metric: f for f in self.answers if f.split == split}
        if metric not in on_split:
            raise unknown(f"finding on {split!r} called", metric, on_split)
        return on_split[metric]

    def plot(self, name: str = "adaptation") -> Any:
        """A matplotlib Figure: 'adaptation', 'lifetimes', 'splits', 'conditions', 'spectrum' or another of the page's.

        Raises:
            MesascopeError: this examination has nothing to draw for it.
        """
        from mesascope.reporting import plot

        return plot([self], name)

    def report(self, path: str | os.PathLike, command: str = "") -> Path:
        """Writes the page of this examination, one HTML file that needs nothing beside itself."""
        from mesascope.reporting import write_report

        return write_report([self], command, path)

    def __repr__(self) -> str:
        level = self.placement.text() if self.placement else "not placed"
        return f"<Examination of {self.subject} on {self.family}: {level}; {len(self.answers)} findings>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{f._repr_html_()}</li>" for f in self.answers if f.status == "measured")
        head = self.placement._repr_html_() if self.placement else ""
        return f"{head}<ul>{rows}</ul>"


@contain_exits()
def examine(
    subjects: Any,
    family: Family | str | None = None,
    *,
    trained_on: str | None = None,
    splits: Sequence[str] | str | None = None,
    metrics: Sequence[Metric | str] | Metric | str | None = None,
    lifetimes: int = 512,
    seed: int = 0,
    out: str | os.PathLike | None = None,
    rule: Rule | None = None,
    progress: Progress = lambda share, doing: None,
    trust: bool = False,
) -> Any:
    """Examines one or several subjects on the same tasks.

    Args:
        subjects: a Subject, a function f(percept, state, rng), a file, or a name such as 'thompson'; for several a
            list of these, or a mapping from the names that reports shall use.
        family: a family or its name with settings, such as 'bernoulli_bandit:arms=5,trials=100'; by default that
            of the first subject that is a file which says its own.
        trained_on: overrides what the subject says: 'unlimited', 'bank:M@seed' or 'unknown'.
        splits: one or several; by default all of the family.
        metrics: one or several, by name or as objects; by default all.
        lifetimes: N on every split.
        seed: of the tasks and all draws.
        out: a folder in which finished rollouts are kept; a run that was stopped goes on from there.
        rule: the constants of the placement rule.
        progress: called with the share that is done and what is being done.
        trust: whether code that a subject's file brings may run.

    Returns:
        An `Examination`; a list of them, in order, where `subjects` is a list or a mapping.
    """
    several = isinstance(subjects, list | tuple | Mapping)
    specs = (
        (list(subjects.values()) if isinstance(subjects, Mapping) else subjects) if several else [subjects]
    )
    gate.allow_from_python(family, *specs)
    base = open_family(family or default_family(specs, trust))
    group = open_subjects(subjects, base, trust)
    asked, splits = open_all("metrics", metrics), as_list(splits)
    labels = [*conditions(base.horizon, rule), *(c for p in asked for c in p.conditions)]
    kept: dict[str, Any] = {
        "out": Path(out) if out else None,
        "progress": progress,
        "beyond": axes.conditions_read(base),
    }
    bench = Bench(base, labels, splits, lifetimes, seed, **kept)
    homes = [bench.home(trained_on or one.trained_on) for one in group]
    for one, home in zip(group, homes, strict=True):
        if told := one.announce(bench.responses(home)):
            warnings.warn(told, MesascopeWarning, stacklevel=2)
        if not bench.splits(home):
            raise MesascopeError(
                f"{home.name} has none of the splits {', '.join(splits or ())}.",
                "Add fresh to them, or a bank to the family.",
            )
        bench.essence(one)
        # a mistake in the last subject shows before the first is lived
        refuse_leaks(one, home, seed, bench.kinds)
    unbanked = base.with_bank(None)
    controls = {role: open_subject(name, unbanked) for role, name in base.controls.items()}
    bench.expect(len(group) + sum(c.name not in {s.name for s in group} for c in controls.values()))
    waiting = {}
    with ThreadPoolExecutor(1) as aside:  # controls are measured while the next subject is compiled
        for role, control in controls.items():
            if lived := bench.live(control, unbanked):
                put, references = [p for p in asked if role in p.expects], bench.references(unbanked)
                waiting[role] = aside.submit(answer, put, lived, references, Replays(control))
        placed: list[Any] = [bench.place(one, trained_on or one.trained_on, rule) for one in group]
        by_role = {role: waiting[role].result() if role in waiting else [] for role in controls}
    for i, one in enumerate(group):
        floor, why = one.drift()
        if why:
            raise MesascopeError(
                f"{one.name} is not what it was at the start: {why}.",
                "Examine it again while it stays the same.",
            )
        if floor:
            noted = {split: lived.assign_attrs(floor=floor) for split, lived in placed[i][0].items()}
            placed[i] = (noted, *placed[i][1:])
    out_of = []
    for one, home, (lived, references, placement) in zip(group, homes, placed, strict=True):
        told = trained_on or one.trained_on
        found = answer(asked, lived, references, Replays(one), by_role)
        out_of.append(Examination(one.name, home.name, told, lived, references, found, placement))
    return out_of if several else out_of[0]
