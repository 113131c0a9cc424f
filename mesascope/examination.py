"""Everything that some probe needs, rolled out once; then every probe, then the placement."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import xarray as xr

from mesascope import axes, catalogue, gate, trials
from mesascope.bench import Bench, Progress
from mesascope.blame import contained
from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.families import Family
from mesascope.findings import Finding
from mesascope.leaks import refuse_leaks
from mesascope.measurement import measure
from mesascope.placement import Placement, Rule, conditions, place
from mesascope.probes import Probe
from mesascope.replays import Replays
from mesascope.subjects import Subject
from mesascope.subjects.function import wrap


@dataclasses.dataclass(frozen=True)
class Examination:
    """What was found of one subject.

    Attributes:
        subject: its name.
        family: the family with the subject's bank, as one would type it.
        trained_on: 'unlimited', 'bank:M@seed' or 'unknown'.
        trials: its data set per ring.
        references: by role, the data sets of the reference procedures on the same tasks.
        findings: every probe's.
        placement: where it stands on the spectrum; None where there was nothing to place.
    """

    subject: str
    family: str
    trained_on: str
    trials: Mapping[str, xr.Dataset]
    references: Mapping[str, Mapping[str, xr.Dataset]]
    findings: list[Finding]
    placement: Placement | None

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{f._repr_html_()}</li>" for f in self.findings if f.status == "measured")
        head = self.placement._repr_html_() if self.placement else ""
        return f"{head}<ul>{rows}</ul>"


@contained()
def examine(
    subjects: Any,
    family: Family | str,
    trained_on: str | None = None,
    rings: Sequence[str] | None = None,
    probes: Sequence[Probe | str] | None = None,
    lifetimes: int = 512,
    seed: int = 0,
    out: str | os.PathLike | None = None,
    rule: Rule | None = None,
    progress: Progress = lambda share, doing: None,
    trust: bool = False,
) -> list[Examination]:
    """Examines one or several subjects on the same tasks.

    Args:
        subjects: a Subject, a function f(percept, state, rng), a name such as 'thompson', or a list of these.
        family: a family or its name with settings, such as 'bernoulli_bandit:arms=5,trials=100'.
        trained_on: overrides what the subject says: 'unlimited', 'bank:M@seed' or 'unknown'.
        rings: which rings; by default all of the family.
        probes: which probes; by default all.
        lifetimes: N on every ring.
        seed: of the tasks and all draws.
        out: a folder in which finished rollouts are kept; a run that was stopped goes on from there.
        rule: the constants of the placement rule.
        progress: called with the share that is done and what is being done.
        trust: whether code that a subject's file brings may run.

    Returns:
        One examination per subject, in order.
    """
    named = subjects if isinstance(subjects, list | tuple) else [subjects]
    gate.handed(family, *named)
    base: Family = catalogue.make("families", family) if isinstance(family, str) else family
    group = [resolve(s, base, trust) for s in named]
    asked = [
        catalogue.make("probes", p) if isinstance(p, str) else p for p in probes or catalogue.names("probes")
    ]
    labels = [*conditions(base.horizon, rule), *(c for p in asked for c in p.conditions)]
    bench = Bench(
        base, labels, rings, lifetimes, seed, Path(out) if out else None, progress, beyond=axes.wanted(base)
    )
    homes = [bench.home(trained_on or one.trained_on) for one in group]
    for one, home in zip(group, homes, strict=True):
        if told := one.announce(bench.responses(home)):
            warnings.warn(told, MesascopeWarning, stacklevel=2)
        if not bench.rings(home):
            raise MesascopeError(
                f"{home.name} has none of the rings {', '.join(rings or ())}.",
                "Add fresh to them, or a bank to the family.",
            )
        bench.essence(one)
        # a mistake in the last subject shows before the first is lived
        refuse_leaks(one, home, seed, bench.kinds)
    unbanked = base.banked(None)
    controls = {role: resolve(name, unbanked) for role, name in base.controls.items()}
    bench.expect(len(group) + sum(c.name not in {s.name for s in group} for c in controls.values()))
    waiting = {}
    with ThreadPoolExecutor(1) as aside:  # controls are measured while the next subject is compiled
        for role, control in controls.items():
            if lived := bench.live(control, unbanked):
                put = [p for p in asked if role in p.expects]
                told = (put, lived, bench.references(unbanked), Replays(control))
                waiting[role] = aside.submit(measure, *told)
        placed: list[Any] = [bench.place(one, trained_on or one.trained_on, rule) for one in group]
        by_role = {role: waiting[role].result() if role in waiting else [] for role in controls}
    for i, one in enumerate(group):
        floor, why = one.moved()
        if why:
            raise MesascopeError(
                f"{one.name} is not what it was at the start: {why}.",
                "Examine it again while it stays the same.",
            )
        noted = {r: lived.assign_attrs(floor=floor) for r, lived in placed[i][0].items()} if floor else None
        placed[i] = (noted or placed[i][0], *placed[i][1:])
    out_of = []
    for one, home, (lived, references, placement) in zip(group, homes, placed, strict=True):
        told = trained_on or one.trained_on
        found = measure(asked, lived, references, Replays(one), by_role)
        out_of.append(Examination(one.name, home.name, told, lived, references, found, placement))
    return out_of


def resolve(subject: Any, family: Family, trust: bool = False) -> Subject:
    """A subject from an object, a function, a name with settings, a file, or package.module:factory.

    Raises:
        MesascopeError: nothing answers to it, or two adapters claim the file.
    """
    if isinstance(subject, Subject):
        return subject
    if callable(subject):
        return wrap(subject, family)
    if not isinstance(subject, str | os.PathLike):
        raise MesascopeError(
            f"{type(subject).__name__} is no subject.", "Give a Subject, a function, a name or a file."
        )
    gate.handed(spec := os.fspath(subject))
    if spec.partition("://")[0].isalpha() and "://" in spec:  # an address, whatever its password holds
        return catalogue.make("subjects", opener(spec), family, path=spec)
    name = catalogue.split(spec)[0] if "=" in spec or ":" not in spec else spec.partition(":")[0]
    if name in catalogue.names("subjects"):
        return catalogue.make("subjects", spec, family, **catalogue.trusting("subjects", name, trust))
    if Path(spec).is_file():
        name = opener(spec)
        told = catalogue.trusting("subjects", name, trust)
        return catalogue.make("subjects", name, family, path=spec, **told)
    if os.sep in spec or Path(spec).suffix in (".safetensors", ".zip", ".onnx"):
        raise MesascopeError(
            f"There is no file {spec!r}.", "Name a file, a subject or package.module:factory."
        )
    if ":" in spec and "=" not in spec:
        return catalogue.make("subjects", "function", family, path=spec)
    return catalogue.make("subjects", spec, family)  # says which names there are


def default_family(subjects: Sequence[Any], trust: bool = False) -> str:
    """The family of the first subject that is a file which says its own.

    Raises:
        MesascopeError: no subject says one, or code that the file names with it is not trusted.
    """
    for spec in map(str, subjects):
        name, given = catalogue.split(spec) if "path=" in spec else ("", {})
        path = given.get("path", spec)
        if name or Path(path).is_file():
            module = catalogue.module("subjects", name or opener(path))
            if hasattr(module, "family_of"):
                spec = module.family_of(path)
                if trust:
                    gate.typed(spec)
                else:
                    catalogue.make("families", spec)  # says what it would run
                return spec
    raise MesascopeError(
        "No subject says which family it belongs to.", "Add --family bernoulli_bandit:arms=5,trials=100, say."
    )


@contained()
def measure_log(
    path: Any,
    columns: Mapping[str, Any] | None = None,
    choices: int | None = None,
    probes: Sequence[str] | None = None,
) -> tuple[list[Examination], list[str]]:
    """Measures trials without the subject that made them.

    Args:
        path: a .nc of ours, a log that `mesascope.logs.read_log` reads, a DataFrame or a Dataset.
        columns: your names for ours.
        choices: how many there were, where not all occur.
        probes: which; by default all.

    Returns:
        One examination per subject in the file, and what was decided in reading it.
    """
    asked = [catalogue.make("probes", p) for p in probes or catalogue.names("probes")]
    if isinstance(path, str | os.PathLike) and Path(path).suffix in (".nc", ".eval"):
        folder = Path(path).parent
        if Path(path).suffix == ".eval":
            from mesascope.inspected import read_eval

            log = read_eval(os.fspath(path))
            known = [({str(log.attrs["ring"]): log}, {}, "unknown")]
        elif Path(path).name == "trials.nc" and (folder / "findings.json").is_file():
            from mesascope.runs import open_run

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
    from mesascope.logs import read_log
    from mesascope.logs.curves import read_curves

    if curves := read_curves(path, columns):
        logs, notes = curves
    else:
        log, notes = read_log(path, columns, choices)
        logs = [log]
    out = []
    for log in logs:
        lived = {str(log.attrs["ring"]): log}
        found = measure(asked, lived, replay=Replays())
        out.append(Examination(str(log.attrs["subject"]), "log", "unknown", lived, {}, found, None))
    return out, notes


def _by_subject(groups: Mapping[str, xr.Dataset]) -> list[tuple[Any, Any, str]]:
    """Trials per ring, references per role and training tasks of each subject in a file without its run's folder.

    Groups are named 's0 RING' and 's0 ROLE RING' by a run; reference procedures that several subjects share stand with
    the first. Groups of other names are rings of the subject that they name.
    """
    out: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for name, lived in groups.items():
        ring, *before = reversed(name.split(" "))
        who, role = (
            (before[-1], " ".join(reversed(before[:-1]))) if before else (str(lived.attrs.get("subject")), "")
        )
        rings, references = out.setdefault(who, ({}, {}))
        (references.setdefault(role, {}) if role else rings)[ring] = lived
    told = [(rings, references) for rings, references in out.values() if rings]
    return [(r, f, str(next(iter(r.values())).attrs.get("trained_on", "unknown"))) for r, f in told]


def opener(path: str) -> str:
    """The name of the one subject adapter that opens a file.

    Raises:
        MesascopeError: none does, or several do.
    """
    claims = []
    for name in catalogue.names("subjects"):
        try:
            module = catalogue.module("subjects", name)
        except MesascopeError:  # another package's, broken: no reason not to open a file of ours
            continue
        if hasattr(module, "opens") and module.opens(path):
            claims.append(name)
    if len(claims) == 1:
        return claims[0]
    told = f"{' and '.join(claims)} both claim it" if claims else "no adapter opens it"
    remedy = "Name the adapter, as adapter:path=FILE."
    if path.endswith(".py"):
        remedy = f"Name the function in it that makes the subject, as {Path(path).stem}:factory."
    raise MesascopeError(f"{path!r} cannot be opened as a subject: {told}.", remedy)
