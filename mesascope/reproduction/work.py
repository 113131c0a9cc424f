"""Trains and measures the subjects of a study, and keeps every finished unit in its folder.

A unit of work is a training run, an intact rollout of one subject, or its placement. A unit's key covers everything
that affects its result, so that a stopped study continues and ends with the same bytes.
"""

import dataclasses
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mesascope
from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts import axis as axes
from mesascope.contracts.family import Family
from mesascope.contracts.metric import DoesNotApply, gains
from mesascope.contracts.split import kind as split_kind
from mesascope.contracts.subject import Subject
from mesascope.errors import MesascopeError, pick_named
from mesascope.examination.bench import Bench
from mesascope.examination.measurement import answer as measure_with
from mesascope.execution import fingerprint
from mesascope.files import write_text
from mesascope.guards import limits
from mesascope.questions.spectrum import first_rule
from mesascope.questions.spectrum import placement as present_rule
from mesascope.questions.spectrum.ladder import RUNGS, Placement
from mesascope.recipes.training import train
from mesascope.reproduction.measures import Measure, Rollouts, measure
from mesascope.reproduction.plans import SEED, Cell, Quantity, Study
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import interval, ratio, standard_error

CHUNK = 8192  # the largest number of lifetimes in one rollout
NUMBERS = (
    *("position", "kept_by_locator", "kept_on_fresh", "benefit", "efficiency"),
    *("deletion", "transplant", "bits", "strict_bits", "gain_old", "span_half", "span_most"),
)
PLACED = (*NUMBERS, "share", "lowest", "highest", "locating", "acquiring", "undetermined")
RATES = ("locating", "acquiring", "undetermined")  # these numbers are 0 or 1 for each seed
NETWORK = "network.safetensors"
Progress = Callable[[float, str], None]


@dataclasses.dataclass(frozen=True)
class Value:
    """The value of one quantity for one subject and seed.

    Attributes:
        number: the number, or None if there is none.
        error: its standard error over lifetimes, or None.
        n: the number of lifetimes behind it.
        text: the level in words, if the number stands for one.
        why: the reason for a missing number.
    """

    number: float | None
    error: float | None = None
    n: int = 0
    text: str = ""
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Unit:
    """One unit of work: its kind ('train', 'live' or 'place'), its subject, its seed and its quantities."""

    kind: str
    cell: Cell
    seed: int
    family: str = ""
    split: str = ""
    lifetimes: int = 0
    quantities: tuple[Quantity, ...] = ()

    @property
    def first_seed(self) -> int:
        """The first of the seeds for its lifetimes."""
        return 10_000 * (self.seed + 1)


def list_units(study: Study) -> list[Unit]:
    """All units of a study, seed by seed, in the order in which a single process runs them."""
    unit_list = []
    for seed in range(study.seeds):
        for cell in study.cells:
            if cell.recipe:
                unit_list.append(Unit("train", cell, seed, fill_seed(cell.family, seed)))
            groups: dict[tuple, list[Quantity]] = {}
            for q in study.quantities:
                if cell.name in q.of:
                    family = fill_seed(q.family or cell.family, seed)
                    kind = "live" if q.kind == "measure" else "place"
                    split = q.split if kind == "live" else ""
                    groups.setdefault((kind, family, split, q.lifetimes), []).append(q)
            for (kind, family, split, lifetimes), quantities in groups.items():
                unit_list.append(Unit(kind, cell, seed, family, split, lifetimes, tuple(quantities)))
    return unit_list


def fill_seed(text: str, seed: int) -> str:
    """Replaces the placeholder {seed} in a text."""
    return text.replace(SEED, str(seed))


class Workshop:
    """Does a study's work in its folder, which keeps networks, finished measurements and seconds.

    Args:
        study: the study to run.
        out: the folder of the run.
        measures: the known measures by name.
        tell: called with a unit's place in the plan, the share of the unit that is done, and what is running.
        clock: the name of the file that records seconds; every parallel process has its own.
    """

    def __init__(
        self,
        study: Study,
        out: Path,
        measures: Mapping[str, Measure],
        tell: Callable[[int, float, str], None],
        clock: str = "seconds.json",
    ):
        self.study, self.out, self.measures, self.tell, self.clock = study, out, measures, tell, clock
        self.plan = list_units(study)
        saved = read(out / "seconds.json")
        if (found := saved.get("study", study.name)) != study.name:
            raise MesascopeError(f"{str(out)!r} is the folder of the study {found!r}.", "Name another with --out.")
        self.seconds = read_seconds(out / clock)
        code = (".py", ".safetensors")
        self.code = [
            study.name,
            fingerprint(Path(mesascope.__file__).parent, code),
            fingerprint(study.folder, code, without=out),
        ]
        self.reference_rollouts: dict[str, Any] = {}  # rollouts of reference procedures, shared within a seed
        self.seed = -1

    def work(self, places: Sequence[int] | None = None) -> dict[tuple[str, str, int], Value]:
        """Runs the units at these places of the plan (default: all); returns values by quantity, subject and seed."""
        values = {}
        for place in range(len(self.plan)) if places is None else places:
            unit = self.plan[place]
            if unit.seed != self.seed:
                self.seed, self.reference_rollouts = unit.seed, {}
            tell = functools.partial(self.tell, place)
            if unit.kind == "train":
                self._train(unit, tell)
            else:
                for name, value in self._measure_unit(unit, tell).items():
                    values[name, unit.cell.name, unit.seed] = value
        return values

    def lacks(self, unit: Unit) -> bool:
        """Whether the folder lacks a unit's result."""
        if unit.cell.recipe and not (self._network(unit) / NETWORK).is_file():
            return True
        return unit.kind != "train" and not _read_values(self._path(unit)[0])

    def _network(self, unit: Unit) -> Path:
        """The folder of a unit's network."""
        key = json.dumps([unit.cell.recipe, fill_seed(unit.cell.family, unit.seed), unit.seed])
        slug = "".join(c if c.isalnum() else "_" for c in unit.cell.name)[:40]
        return self.out / "networks" / f"{slug}-{unit.seed}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"

    def _train(self, unit: Unit, tell: Progress) -> None:
        folder = self._network(unit)
        exists = (folder / NETWORK).is_file()  # if so, the recipe only checks that the network is its own
        recipe = fill_seed(unit.cell.recipe, unit.seed)
        spec = f"{recipe}{',' if ':' in recipe else ':'}seed={unit.seed}"
        start = time.monotonic()
        train(spec, unit.family, folder, progress=lambda s, doing: tell(s, f"{unit.cell.name}: {doing}"))
        if not exists:
            self._record_seconds("train", folder.name, time.monotonic() - start)

    def _subject(self, unit: Unit, family: Family) -> Subject:
        """Opens the unit's subject for a family."""
        if unit.cell.recipe:
            return open_subject(str(self._network(unit) / NETWORK), family)
        return open_subject(fill_seed(unit.cell.subject, unit.seed), family)

    def _path(self, unit: Unit) -> tuple[Path, list[Any]]:
        """The file of a measurement, whose name is a hash of its inputs, and these inputs."""
        inputs: list[Any] = [unit.kind, unit.cell.name, unit.seed, unit.family, unit.split, unit.lifetimes]
        inputs += [fill_seed(unit.cell.subject, unit.seed), fill_seed(unit.cell.trained_on, unit.seed)]
        network = (self._network(unit) / NETWORK).read_bytes() if unit.cell.recipe else b""
        inputs += [hashlib.sha256(network).hexdigest() if network else ""]
        inputs += [[q.name, q.kind, q.spec, q.label, q.split] for q in unit.quantities]
        inputs += self.code
        name = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:24]
        return self.out / "measurements" / f"{name}.json", inputs

    def _measure_unit(self, unit: Unit, tell: Progress) -> dict[str, Value]:
        """Measures a unit's values, or reads them from the folder if it has them."""
        path, inputs = self._path(unit)
        if saved := _read_values(path):
            return saved
        # not called for saved values, which would spoil the estimate of the time left
        tell(0.0, f"{unit.cell.name}, seed {unit.seed}")
        start = time.monotonic()
        family = catalogue.make("families", unit.family)
        subject = self._subject(unit, family)
        values = (self._live if unit.kind == "live" else self._place)(unit, subject, family)
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"of": inputs, "values": {k: dataclasses.asdict(v) for k, v in values.items()}}
        write_text(path, json.dumps(document, indent=1))
        self._record_seconds(unit.kind, path.stem, time.monotonic() - start)
        tell(1.0, f"{unit.cell.name}, seed {unit.seed}")
        return values

    def _live(self, unit: Unit, subject: Subject, family: Family) -> dict[str, Value]:
        """Measures values in intact lifetimes, which run in chunks of CHUNK."""
        measures = {q.name: measure(q.spec, self.measures) for q in unit.quantities}
        parts: dict[str, list[np.ndarray]] = {}
        failures: dict[str, str] = {}
        for chunk, start in enumerate(range(0, unit.lifetimes, CHUNK)):
            lifetimes, seed = min(CHUNK, unit.lifetimes - start), unit.first_seed + chunk
            rollouts = Rollouts(rollout(subject, family, unit.split, lifetimes, seed), subject, family)
            for name, function in measures.items():
                try:
                    parts.setdefault(name, []).append(np.atleast_2d(function(rollouts)))
                except DoesNotApply as reason:
                    failures[name] = str(reason)
        return {n: Value(None, why=failures[n]) if n in failures else combine(parts[n]) for n in measures}

    def _place(self, unit: Unit, subject: Subject, family: Family) -> dict[str, Value]:
        """Reads values from a placement, metrics and axes, which share their rollouts."""
        metrics = {q.spec: catalogue.make("metrics", q.spec) for q in unit.quantities if q.kind == "metric"}
        axes_by_spec = {q.spec: catalogue.make("axes", q.spec) for q in unit.quantities if q.kind == "axis"}
        needs_placement = any(q.kind == "placed" and q.spec != "share" for q in unit.quantities)
        first = self.study.rule == "benefit"
        needed = first_rule.conditions(family.horizon) if first else present_rule.conditions(family)
        labels = needed if needs_placement else ("intact",)
        labels = [*labels, *(c for p in metrics.values() for c in p.conditions)]
        trained_on = fill_seed(unit.cell.trained_on, unit.seed) or subject.trained_on
        splits = {q.split for q in unit.quantities} | {"fresh"}
        # the bank determines the split 'seen'
        family_banked = family.with_bank(trained_on) if trained_on.startswith("bank:") else family
        if needs_placement or metrics:
            splits |= {split.name for split in family_banked.splits() if split.counted}
        read_on = {k for p in metrics.values() for k in p.splits}
        read_on |= {k for axis in axes_by_spec.values() for k in axis.tested}
        wanted = [r for r in family_banked.split_names if r in splits or split_kind(r) in read_on]
        extra = axes.conditions_read(family) if axes_by_spec else {}
        bench = Bench(
            family,
            labels,
            wanted,
            unit.lifetimes,
            unit.first_seed,
            rollouts=self.reference_rollouts,
            beyond=extra,
            placed_by=first_rule.place_by_benefit if first else present_rule.place,
        )
        home, placement = bench.home(trained_on), None
        if needs_placement:
            trials, references, placement = bench.place(subject, trained_on)
        else:
            trials = bench.live(subject, home)
            references = bench.references(home) if metrics else {}
        findings = {spec: measure_with([p], trials, references, Replays(subject)) for spec, p in metrics.items()}
        values = {}
        for q in unit.quantities:
            if q.kind == "metric":
                values[q.name] = _pick_finding(findings[q.spec], q)
            elif q.kind == "axis":
                verdict = axes_by_spec[q.spec].read(trials, home)
                values[q.name] = read_verdict(axes_by_spec[q.spec], q.label, verdict, unit.lifetimes)
            elif q.spec == "share" and q.split in trials:
                values[q.name] = combine([np.stack(gains(trials[q.split], "intact"))])
            elif q.spec == "share":
                values[q.name] = Value(None, why=f"there is no split {q.split}")
            else:
                assert placement is not None
                values[q.name] = read_placement(q.spec, placement, unit.lifetimes)
        return values

    def _record_seconds(self, kind: str, name: str, seconds: float) -> None:
        """Records how long a unit took."""
        self.seconds[f"{kind} {name}"] = round(seconds, 2)
        self.note()

    def take(self, name: str) -> None:
        """Merges the seconds in another process's file."""
        if (self.out / name).is_file():
            self.seconds.update(read_seconds(self.out / name))
            self.note()
            (self.out / name).unlink()

    def note(self) -> None:
        """Writes how long the units took, and the load of the machine."""
        load = [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else []
        summary = {"study": self.study.name, "total": round(sum(self.seconds.values()), 1)}
        summary |= {"cores": os.cpu_count(), "load": load}
        write_text(self.out / self.clock, json.dumps({**summary, "units": self.seconds}, indent=1))


def combine(parts: list[np.ndarray]) -> Value:
    """Joins arrays [1, N] or [2, N] of several rollouts into a value: the mean of one row, or the ratio of two sums."""
    rows = np.concatenate(parts, axis=1)
    if len(rows) == 2 and not abs(rows[1].sum()) > 0:
        return Value(None, why="there is nothing to gain there")
    values = rows[0] if len(rows) == 1 else ratio(rows[0], rows[1])
    if not np.isfinite(values).any():
        return Value(None, why="no lifetime gave a number")
    n = int(np.isfinite(values).sum())
    return Value(float(interval(values[None]).estimate[0]), standard_error(values) if n > 1 else None, n)


def read_placement(spec: str, placement: Placement, lifetimes: int) -> Value:
    """Reads a number from a placement; rungs are numbered from 0 (inert) to 5 (general)."""
    pick_named("number of a placement", spec, PLACED)
    level = placement.text()
    if spec in ("lowest", "highest"):
        rung = getattr(placement, spec)
        return Value(float(RUNGS[rung]), n=lifetimes, text=rung)
    if spec in RATES:
        passed = RUNGS[placement.lowest] >= RUNGS["acquiring"]
        return Value(float(passed if spec == "acquiring" else placement.level == spec), n=lifetimes, text=level)
    number = placement.numbers.get(spec)
    if number is None:
        reason = placement.reason.partition("because ")[2].partition(":")[0].partition(";")[0].rstrip(".")
        return Value(None, why=reason or f"not read by the rule, which says {level}")
    return Value(float(number), placement.numbers.get(f"{spec}_error"), lifetimes)


def read_verdict(axis: axes.Axis, reading: str, verdict: axes.Verdict | None, lifetimes: int) -> Value:
    """1 if an axis gives a subject this reading, else 0."""
    pick_named(f"reading of the axis {axis.name!r}", reading, axis.words)
    if verdict is None:
        return Value(None, why=f"the axis {axis.name!r} does not apply there")
    return Value(float(verdict.reading == reading), n=lifetimes, text=verdict.text())


def _pick_finding(findings: list[Any], q: Quantity) -> Value:
    """Takes the value of the finding that a quantity selects."""
    matching = [f for f in findings if q.label in ("", f.metric.partition(": ")[2]) and q.split in (f.split, "any")]
    if not matching and all(f.status != "measured" for f in findings):
        return Value(None, why=findings[0].reason if findings else "it gave no reading")
    if not matching:
        labels = sorted({f"{f.metric.partition(': ')[2]} on {f.split}" for f in findings})
        raise MesascopeError(
            f"The metric {q.spec!r} gives no {q.label!r} on {q.split}.", f"It gives: {'; '.join(labels)}."
        )
    f = matching[0]
    if f.estimate is None:
        return Value(None, why=f.reason)
    return Value(float(f.estimate), None, f.n)


def read(path: Path) -> dict[str, Any]:
    """Reads one of our JSON files; returns {} if it is missing or broken, so that its contents are computed again."""
    try:
        return _as_dict(limits.parse_json(path.read_text()))
    except (OSError, ValueError):
        return {}


def read_seconds(path: Path) -> dict[str, float]:
    """Reads how many seconds each unit took."""
    units = _as_dict(read(path).get("units"))
    return {str(k): float(v) for k, v in units.items() if isinstance(v, (int, float))}


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_values(path: Path) -> dict[str, Value]:
    """Reads the values of a finished measurement; returns {} if its file is missing or broken."""
    values = _as_dict(read(path).get("values"))
    try:
        saved = {name: Value(**fields) for name, fields in values.items()}
    except TypeError:
        return {}
    numbers = [x for fields in saved.values() for x in (fields.number, fields.error) if x is not None]
    return saved if all(isinstance(x, (int, float)) for x in numbers) else {}
