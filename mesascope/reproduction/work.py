"""Trains and measures what a study asks for; everything that is finished is kept in its folder.

A unit of work is a training, the intact rollout of one subject somewhere, or its placement. Units are keyed by all
that decides their outcome, so a study that was stopped at any moment goes on and ends with the same bytes.
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
from mesascope.examination.measurement import answer as ask
from mesascope.execution import fingerprint
from mesascope.files import write_text
from mesascope.guards import limits
from mesascope.questions.spectrum.placement import LADDER, Placement, conditions
from mesascope.recipes.training import train
from mesascope.reproduction.measures import Measure, Rollouts, measure
from mesascope.reproduction.plans import SEED, Cell, Quantity, Study
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import interval, ratio, standard_error

CHUNK = 8192  # lifetimes of one rollout
NUMBERS = ("position", "kept_by_locator", "kept_on_fresh", "benefit", "efficiency")
PLACED = (*NUMBERS, "share", "lowest", "highest", "locating", "acquiring", "undetermined")
RATES = ("locating", "acquiring", "undetermined")  # 0 or 1 for each seed
NETWORK = "network.safetensors"
Progress = Callable[[float, str], None]


@dataclasses.dataclass(frozen=True)
class Value:
    """One quantity of one subject and seed.

    Attributes:
        number: None where there is none.
        error: its standard error over lifetimes, where that applies.
        n: lifetimes.
        text: a level in words.
        why: why there is no number.
    """

    number: float | None
    error: float | None = None
    n: int = 0
    text: str = ""
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Unit:
    """What is done in one go: kind 'train', 'live' or 'place', of which subject and seed, and for which quantities."""

    kind: str
    cell: Cell
    seed: int
    family: str = ""
    split: str = ""
    lifetimes: int = 0
    quantities: tuple[Quantity, ...] = ()

    @property
    def first_seed(self) -> int:
        """Of its lifetimes."""
        return 10_000 * (self.seed + 1)


def units(study: Study) -> list[Unit]:
    """All units, seed by seed; one process does them in this order."""
    out = []
    for seed in range(study.seeds):
        for cell in study.cells:
            if cell.recipe:
                out.append(Unit("train", cell, seed, fill_seed(cell.family, seed)))
            groups: dict[tuple, list[Quantity]] = {}
            for q in study.quantities:
                if cell.name in q.of:
                    family = fill_seed(q.family or cell.family, seed)
                    kind = "live" if q.kind == "measure" else "place"
                    split = q.split if kind == "live" else ""
                    groups.setdefault((kind, family, split, q.lifetimes), []).append(q)
            for (kind, family, split, lifetimes), asked in groups.items():
                out.append(Unit(kind, cell, seed, family, split, lifetimes, tuple(asked)))
    return out


def fill_seed(text: str, seed: int) -> str:
    """A text with the seed in its place."""
    return text.replace(SEED, str(seed))


class Workshop:
    """The folder of one study: networks, finished measurements, seconds.

    Args:
        study: what is done.
        out: the folder.
        measures: by name.
        tell: called with a unit's place in the plan, the share of it that is done, and what is being done.
        clock: the file in the folder where seconds are noted; processes side by side each have their own.
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
        self.plan = units(study)
        told = read(out / "seconds.json")
        if (other := told.get("study", study.name)) != study.name:
            raise MesascopeError(
                f"{str(out)!r} is the folder of the study {other!r}.", "Name another with --out."
            )
        self.seconds = read_seconds(out / clock)
        code = (".py", ".safetensors")
        self.code = [
            study.name,
            fingerprint(Path(mesascope.__file__).parent, code),
            fingerprint(study.folder, code, without=out),
        ]
        self.made: dict[str, Any] = {}  # rollouts of reference procedures, shared within a seed
        self.seed = -1

    def work(self, places: Sequence[int] | None = None) -> dict[tuple[str, str, int], Value]:
        """Does the units at these places of the plan, all by default; the values by quantity, subject and seed."""
        out = {}
        for place in range(len(self.plan)) if places is None else places:
            unit = self.plan[place]
            if unit.seed != self.seed:
                self.seed, self.made = unit.seed, {}
            tell = functools.partial(self.tell, place)
            if unit.kind == "train":
                self._train(unit, tell)
            else:
                for name, value in self._measured(unit, tell).items():
                    out[name, unit.cell.name, unit.seed] = value
        return out

    def lacks(self, unit: Unit) -> bool:
        """Whether a unit is still to be done."""
        if unit.cell.recipe and not (self._network(unit) / NETWORK).is_file():
            return True
        return unit.kind != "train" and not _kept(self._path(unit)[0])

    def _network(self, unit: Unit) -> Path:
        """The folder of a unit's network."""
        told = json.dumps([unit.cell.recipe, fill_seed(unit.cell.family, unit.seed), unit.seed])
        slug = "".join(c if c.isalnum() else "_" for c in unit.cell.name)[:40]
        return self.out / "networks" / f"{slug}-{unit.seed}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def _train(self, unit: Unit, tell: Progress) -> None:
        folder = self._network(unit)
        there = (folder / NETWORK).is_file()  # then the recipe only looks whether it is its own
        recipe = fill_seed(unit.cell.recipe, unit.seed)
        spec = f"{recipe}{',' if ':' in recipe else ':'}seed={unit.seed}"
        start = time.monotonic()
        train(spec, unit.family, folder, progress=lambda s, doing: tell(s, f"{unit.cell.name}: {doing}"))
        if not there:
            self._took("train", folder.name, time.monotonic() - start)

    def _subject(self, unit: Unit, family: Family) -> Subject:
        """The unit's subject, as what it is put to knows it."""
        if unit.cell.recipe:
            return open_subject(str(self._network(unit) / NETWORK), family)
        return open_subject(fill_seed(unit.cell.subject, unit.seed), family)

    def _path(self, unit: Unit) -> tuple[Path, list[Any]]:
        """The file of a measurement, named by all that decides its values, and what that is."""
        told: list[Any] = [unit.kind, unit.cell.name, unit.seed, unit.family, unit.split, unit.lifetimes]
        told += [fill_seed(unit.cell.subject, unit.seed), fill_seed(unit.cell.trained_on, unit.seed)]
        made = (self._network(unit) / NETWORK).read_bytes() if unit.cell.recipe else b""
        told += [hashlib.sha256(made).hexdigest() if made else ""]
        told += [[q.name, q.kind, q.spec, q.label, q.split] for q in unit.quantities]
        told += self.code
        name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]
        return self.out / "measurements" / f"{name}.json", told

    def _measured(self, unit: Unit, tell: Progress) -> dict[str, Value]:
        """A unit's values, from the folder where they are there."""
        path, told = self._path(unit)
        if kept := _kept(path):
            return kept
        tell(0.0, f"{unit.cell.name}, seed {unit.seed}")  # what is kept is no work: the time left stays right
        start = time.monotonic()
        family = catalogue.make("families", unit.family)
        subject = self._subject(unit, family)
        values = (self._live if unit.kind == "live" else self._place)(unit, subject, family)
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"of": told, "values": {k: dataclasses.asdict(v) for k, v in values.items()}}
        write_text(path, json.dumps(document, indent=1))
        self._took(unit.kind, path.stem, time.monotonic() - start)
        tell(1.0, f"{unit.cell.name}, seed {unit.seed}")
        return values

    def _live(self, unit: Unit, subject: Subject, family: Family) -> dict[str, Value]:
        """Values from intact lifetimes, some thousand at a time."""
        asked = {q.name: measure(q.spec, self.measures) for q in unit.quantities}
        parts: dict[str, list[np.ndarray]] = {}
        lacking: dict[str, str] = {}
        for chunk, start in enumerate(range(0, unit.lifetimes, CHUNK)):
            lifetimes, seed = min(CHUNK, unit.lifetimes - start), unit.first_seed + chunk
            lived = Rollouts(rollout(subject, family, unit.split, lifetimes, seed), subject, family)
            for name, of in asked.items():
                try:
                    parts.setdefault(name, []).append(np.atleast_2d(of(lived)))
                except DoesNotApply as why:
                    lacking[name] = str(why)
        return {n: Value(None, why=lacking[n]) if n in lacking else combine(parts[n]) for n in asked}

    def _place(self, unit: Unit, subject: Subject, family: Family) -> dict[str, Value]:
        """Values from a placement and from metrics, the rollouts made once."""
        metrics = {q.spec: catalogue.make("metrics", q.spec) for q in unit.quantities if q.kind == "metric"}
        asked = {q.spec: catalogue.make("axes", q.spec) for q in unit.quantities if q.kind == "axis"}
        placed = any(q.kind == "placed" and q.spec != "share" for q in unit.quantities)
        labels = conditions(family.horizon) if placed else ("intact",)
        labels = [*labels, *(c for p in metrics.values() for c in p.conditions)]
        told = fill_seed(unit.cell.trained_on, unit.seed) or subject.trained_on
        splits = {q.split for q in unit.quantities} | {"fresh"}
        own = family.with_bank(told) if told.startswith("bank:") else family  # its bank decides what was seen
        if placed or metrics:
            splits |= {split.name for split in own.splits() if split.counted}
        read_on = {k for p in metrics.values() for k in p.splits}
        read_on |= {k for axis in asked.values() for k in axis.tested}
        there = [r for r in own.split_names if r in splits or split_kind(r) in read_on]
        beyond = axes.conditions_read(family) if asked else {}
        bench = Bench(family, labels, there, unit.lifetimes, unit.first_seed, made=self.made, beyond=beyond)
        home, placement = bench.home(told), None
        if placed:
            lived, references, placement = bench.place(subject, told)
        else:
            lived = bench.live(subject, home)
            references = bench.references(home) if metrics else {}
        found = {spec: ask([p], lived, references, Replays(subject)) for spec, p in metrics.items()}
        out = {}
        for q in unit.quantities:
            if q.kind == "metric":
                out[q.name] = _finding(found[q.spec], q)
            elif q.kind == "axis":
                verdict = asked[q.spec].read(lived, home)
                out[q.name] = of_verdict(asked[q.spec], q.label, verdict, unit.lifetimes)
            elif q.spec == "share" and q.split in lived:
                out[q.name] = combine([np.stack(gains(lived[q.split], "intact"))])
            elif q.spec == "share":
                out[q.name] = Value(None, why=f"there is no split {q.split}")
            else:
                assert placement is not None
                out[q.name] = of_placement(q.spec, placement, unit.lifetimes)
        return out

    def _took(self, kind: str, what: str, seconds: float) -> None:
        """Notes how long a unit took."""
        self.seconds[f"{kind} {what}"] = round(seconds, 2)
        self.note()

    def take(self, name: str) -> None:
        """Takes over the seconds in another's file."""
        if (self.out / name).is_file():
            self.seconds.update(read_seconds(self.out / name))
            self.note()
            (self.out / name).unlink()

    def note(self) -> None:
        """Writes down how long the units took, and under what load of the machine."""
        load = [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else []
        told = {"study": self.study.name, "total": round(sum(self.seconds.values()), 1)}
        told |= {"cores": os.cpu_count(), "load": load}
        write_text(self.out / self.clock, json.dumps({**told, "units": self.seconds}, indent=1))


def combine(parts: list[np.ndarray]) -> Value:
    """A value from parts [1 or 2, N] of several rollouts: their mean, or their ratio of sums."""
    whole = np.concatenate(parts, axis=1)
    if len(whole) == 2 and not abs(whole[1].sum()) > 0:
        return Value(None, why="there is nothing to gain there")
    values = whole[0] if len(whole) == 1 else ratio(whole[0], whole[1])
    if not np.isfinite(values).any():
        return Value(None, why="no lifetime gave a number")
    n = int(np.isfinite(values).sum())
    return Value(float(interval(values[None]).estimate[0]), standard_error(values) if n > 1 else None, n)


def of_placement(spec: str, placement: Placement, lifetimes: int) -> Value:
    """A number of a placement: rungs are numbered from 0, inert, to 5, general."""
    pick_named("number of a placement", spec, PLACED)
    told = placement.text()
    if spec in ("lowest", "highest"):
        rung = getattr(placement, spec)
        return Value(float(LADDER.index(rung)), n=lifetimes, text=rung)
    if spec in RATES:
        passed = LADDER.index(placement.lowest) >= LADDER.index("acquiring")
        return Value(
            float(passed if spec == "acquiring" else placement.level == spec), n=lifetimes, text=told
        )
    number = placement.numbers.get(spec)
    if number is None:
        why = placement.reason.partition("because ")[2].partition(":")[0].partition(";")[0].rstrip(".")
        return Value(None, why=why or f"not read by the rule, which says {told}")
    return Value(float(number), placement.numbers.get(f"{spec}_error"), lifetimes)


def of_verdict(axis: axes.Axis, reading: str, verdict: axes.Verdict | None, lifetimes: int) -> Value:
    """1 where an axis reads a subject so, else 0."""
    pick_named(f"reading of the axis {axis.name!r}", reading, axis.words)
    if verdict is None:
        return Value(None, why=f"the axis {axis.name!r} does not arise there")
    return Value(float(verdict.reading == reading), n=lifetimes, text=verdict.text())


def _finding(found: list[Any], q: Quantity) -> Value:
    """The finding that a quantity asks for."""
    there = [f for f in found if q.label in ("", f.metric.partition(": ")[2]) and q.split in (f.split, "any")]
    if not there and all(f.status != "measured" for f in found):
        return Value(None, why=found[0].reason if found else "it gave no reading")
    if not there:
        labels = sorted({f"{f.metric.partition(': ')[2]} on {f.split}" for f in found})
        raise MesascopeError(
            f"The metric {q.spec!r} gives no {q.label!r} on {q.split}.", f"It gives: {'; '.join(labels)}."
        )
    f = there[0]
    if f.estimate is None:
        return Value(None, why=f.reason)
    return Value(float(f.estimate), None, f.n)


def read(path: Path) -> dict[str, Any]:
    """A JSON file of ours; nothing where it is missing or broken, so that it is made again."""
    try:
        return _dict(limits.parse_json(path.read_text()))
    except (OSError, ValueError):
        return {}


def read_seconds(path: Path) -> dict[str, float]:
    """The seconds of every unit that a file notes."""
    units = _dict(read(path).get("units"))
    return {str(k): float(v) for k, v in units.items() if isinstance(v, (int, float))}


def _dict(told: Any) -> dict[str, Any]:
    return told if isinstance(told, dict) else {}


def _kept(path: Path) -> dict[str, Value]:
    """The values of a finished measurement; nothing where its file is missing or broken."""
    values = _dict(read(path).get("values"))
    try:
        kept = {name: Value(**v) for name, v in values.items()}
    except TypeError:
        return {}
    numbers = [x for v in kept.values() for x in (v.number, v.error) if x is not None]
    return kept if all(isinstance(x, (int, float)) for x in numbers) else {}
