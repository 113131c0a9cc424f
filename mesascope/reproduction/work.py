"""Trains and measures the subjects of a study, and keeps every finished unit in its folder.

A unit of work is a training run, an intact rollout of one subject, or the placement of one subject. The name of a
unit's file is a hash of everything that affects the unit's result, so that a stopped study continues and ends with the
same bytes.
"""

import dataclasses
import functools
import hashlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mesascope
from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts import DoesNotApply, Family, Subject, sum_gains
from mesascope.contracts import axis as axes
from mesascope.contracts import get_split_kind as split_kind
from mesascope.errors import MesascopeError, require_known_name
from mesascope.examination.bench import RolloutCache
from mesascope.examination.measurement import apply_metrics
from mesascope.execution.folders import announce_unit
from mesascope.files import hash_folder, write_text
from mesascope.guards import limits
from mesascope.questions.spectrum import first_rule
from mesascope.questions.spectrum import placement as present_rule
from mesascope.questions.spectrum.ladder import LEVEL_NUMBERS, Placement
from mesascope.recipes.training import train
from mesascope.reproduction.measures import Measure, Rollouts, find_measure
from mesascope.reproduction.plans import Quantity, Study
from mesascope.reproduction.units import Unit, fill_seed, list_units
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import compute_intervals, compute_ratio, compute_standard_error

MAX_LIFETIMES_PER_ROLLOUT = 8192  # the largest number of lifetimes in one rollout
PLACEMENT_NUMBERS = (
    *("position", "kept_by_locator", "kept_on_fresh", "benefit", "efficiency"),
    *("deletion", "transplant", "bits", "strict_bits", "gain_old", "span_half", "span_most"),
)
RATE_QUANTITIES = ("locating", "acquiring", "undetermined")  # these numbers are 0 or 1 for each seed
PLACEMENT_QUANTITIES = (*PLACEMENT_NUMBERS, "share", "lowest", "highest", *RATE_QUANTITIES)
NETWORK_FILE = "network.safetensors"
TRAINING_TIME_FILE = "seconds.json"  # in the folder of a network


@dataclasses.dataclass(frozen=True)
class Value:
    """The value of one quantity for one subject and seed.

    Attributes:
        number: the value itself; None if it is missing.
        error: the standard error of `number` over lifetimes; None if it is not known.
        n: the number of units behind `number`, which for most values are lifetimes.
        text: the level or the reading in words, if `number` stands for one; otherwise ''.
        why: the reason for a missing number; otherwise ''.
    """

    number: float | None
    error: float | None = None
    n: int = 0
    text: str = ""
    why: str = ""


@functools.lru_cache(maxsize=1)
def _get_shared_rollouts(seed: int, *code_hashes: str) -> dict[str, Any]:
    """Returns the dictionary of references' rollouts, which all units of a seed share within a process."""
    return {}


class StudyRun:
    """Runs the units of a study, and keeps networks, finished measurements and their times in its folder.

    Args:
        study: the study to run.
        out: the folder of the run.
        measures: the functions of the available measures by name.
    """

    def __init__(self, study: Study, out: Path, measures: Mapping[str, Measure]):
        self.study, self.out, self.measures, self.units = study, out, measures, list_units(study)
        package, kinds = Path(mesascope.__file__).parent, (".py", ".safetensors")
        self.code_hashes = [
            study.name,
            hash_folder(package, kinds),
            hash_folder(study.folder, kinds, excluded_folder=out),
        ]

    def run(self, indices: Sequence[int] | None = None) -> dict[tuple[str, str, int], Value]:
        """Runs the units with these indices (all by default); returns values by quantity, subject and seed."""
        values = {}
        for index in range(len(self.units)) if indices is None else indices:
            unit = self.units[index]
            if unit.kind == "train":
                self._train(unit)
            else:
                for name, value in self._measure(unit).items():
                    values[name, unit.subject.name, unit.seed] = value
        return values

    def read_values(self) -> dict[tuple[str, str, int], Value]:
        """Reads the values of all units by quantity, subject and seed; values of unfinished units have no number."""
        values = {}
        for unit in self.units:
            saved_values = {} if self.is_unfinished(unit) else self._read_saved(unit)
            for q in unit.quantities:
                values[q.name, unit.subject.name, unit.seed] = saved_values.get(q.name, Value(None, why="not yet run"))
        return values

    def _read_saved(self, unit: Unit) -> dict[str, Value]:
        """Reads the values of a finished measurement."""
        return _read_values(self._find_path(unit)[0])

    def is_unfinished(self, unit: Unit) -> bool:
        """Whether the folder lacks a unit's result."""
        if unit.subject.recipe and not (self._find_network_folder(unit) / NETWORK_FILE).is_file():
            return True
        return unit.kind != "train" and not self._read_saved(unit)

    def _find_network_folder(self, unit: Unit) -> Path:
        """Finds the folder of a unit's network."""
        key = json.dumps([unit.subject.recipe, fill_seed(unit.subject.family, unit.seed), unit.seed])
        slug = "".join(c if c.isalnum() else "_" for c in unit.subject.name)[:40]
        return self.out / "networks" / f"{slug}-{unit.seed}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"

    def _train(self, unit: Unit) -> None:
        """Trains a unit's network, and records the seconds."""
        folder = self._find_network_folder(unit)
        exists = (folder / NETWORK_FILE).is_file()  # if so, the recipe only checks that it trained this network
        recipe = fill_seed(unit.subject.recipe, unit.seed)
        spec = f"{recipe}{',' if ':' in recipe else ':'}seed={unit.seed}"
        start = time.monotonic()
        with announce_unit(self.out, unit.name) as report:
            train(spec, unit.family, folder, progress=lambda s, activity: report(s, f"{unit.subject.name}: {activity}"))
        if not exists:
            write_text(folder / TRAINING_TIME_FILE, json.dumps({"seconds": round(time.monotonic() - start, 2)}))

    def _open_subject(self, unit: Unit, family: Family) -> Subject:
        """Opens the unit's subject for a family."""
        if unit.subject.recipe:
            return open_subject(str(self._find_network_folder(unit) / NETWORK_FILE), family)
        return open_subject(fill_seed(unit.subject.subject, unit.seed), family)

    def _find_path(self, unit: Unit) -> tuple[Path, list[Any]]:
        """Finds the file of a measurement, whose name is a hash of the inputs; returns the path and the inputs."""
        inputs: list[Any] = [unit.kind, unit.subject.name, unit.seed, unit.family, unit.split, unit.lifetimes]
        inputs += [fill_seed(unit.subject.subject, unit.seed), fill_seed(unit.subject.trained_on, unit.seed)]
        network = (self._find_network_folder(unit) / NETWORK_FILE).read_bytes() if unit.subject.recipe else b""
        inputs += [hashlib.sha256(network).hexdigest() if network else ""]
        inputs += [[q.name, q.kind, q.spec, q.label, q.split] for q in unit.quantities]
        inputs += self.code_hashes
        name = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:24]
        return self.out / "measurements" / f"{name}.json", inputs

    def _measure(self, unit: Unit) -> dict[str, Value]:
        """Measures the values of a unit's quantities, or reads them from the folder if they are saved there."""
        path, inputs = self._find_path(unit)
        if saved_values := _read_values(path):
            return saved_values
        start = time.monotonic()
        with announce_unit(self.out, unit.name):
            family = catalogue.make("families", unit.family)
            subject = self._open_subject(unit, family)
            values = (self._measure_lifetimes if unit.kind == "live" else self._place)(unit, subject, family)
            path.parent.mkdir(parents=True, exist_ok=True)
            document = {
                "of": inputs,
                "seconds": round(time.monotonic() - start, 2),
                "values": {k: dataclasses.asdict(v) for k, v in values.items()},
            }
            write_text(path, json.dumps(document, indent=1))
        return values

    def _measure_lifetimes(self, unit: Unit, subject: Subject, family: Family) -> dict[str, Value]:
        """Measures values in intact lifetimes, in several rollouts if there are many lifetimes."""
        measures = {q.name: find_measure(q.spec, self.measures) for q in unit.quantities}
        parts: dict[str, list[np.ndarray]] = {}
        failures: dict[str, str] = {}
        for i, start in enumerate(range(0, unit.lifetimes, MAX_LIFETIMES_PER_ROLLOUT)):
            lifetimes = min(MAX_LIFETIMES_PER_ROLLOUT, unit.lifetimes - start)
            rollouts = Rollouts(rollout(subject, family, unit.split, lifetimes, unit.first_seed + i), subject, family)
            for name, function in measures.items():
                try:
                    parts.setdefault(name, []).append(np.atleast_2d(function(rollouts)))
                except DoesNotApply as reason:
                    failures[name] = str(reason)
        return {n: Value(None, why=failures[n]) if n in failures else combine_rollouts(parts[n]) for n in measures}

    def _place(self, unit: Unit, subject: Subject, family: Family) -> dict[str, Value]:
        """Reads values from a placement, metrics and axes, which share their rollouts."""
        metrics = {q.spec: catalogue.make("metrics", q.spec) for q in unit.quantities if q.kind == "metric"}
        axes_by_spec = {q.spec: catalogue.make("axes", q.spec) for q in unit.quantities if q.kind == "axis"}
        needs_placement = any(q.kind == "placed" and q.spec != "share" for q in unit.quantities)
        place, labels = present_rule.place, present_rule.list_conditions(family)
        if self.study.rule == "benefit":
            place, labels = first_rule.place_by_benefit, first_rule.list_conditions(family.horizon)
        labels = [*(labels if needs_placement else ["intact"]), *(c for m in metrics.values() for c in m.conditions)]
        trained_on = fill_seed(unit.subject.trained_on, unit.seed) or subject.trained_on
        # the split 'seen' contains the tasks of the bank
        family_with_bank = family.with_bank(trained_on) if trained_on.startswith("bank:") else family
        splits = {q.split for q in unit.quantities} | {"fresh"}
        if needs_placement or metrics:
            splits |= {split.name for split in family_with_bank.list_splits() if split.is_counted}
        kinds = {k for metric in metrics.values() for k in metric.splits}
        kinds |= {k for axis in axes_by_spec.values() for k in axis.tested_split_kinds}
        bench = RolloutCache(
            family,
            labels,
            [s for s in family_with_bank.split_names if s in splits or split_kind(s) in kinds],
            unit.lifetimes,
            unit.first_seed,
            rollouts=_get_shared_rollouts(unit.seed, *self.code_hashes),
            extra_split_kinds=axes.list_conditions_of_axes(family) if axes_by_spec else {},
            place_trials=place,
        )
        subject_family, placement = bench.find_family(trained_on), None
        if needs_placement:
            trials, references, placement = bench.place(subject, trained_on)
        else:
            trials = bench.run_subject(subject, subject_family)
            references = bench.run_references(subject_family) if metrics else {}
        findings = {spec: apply_metrics([m], trials, references, Replays(subject)) for spec, m in metrics.items()}

        def read_value(q: Quantity) -> Value:
            if q.kind == "metric":
                return _make_finding_value(findings[q.spec], q)
            if q.kind == "axis":
                verdict = axes_by_spec[q.spec].read(trials, subject_family)
                return make_verdict_value(axes_by_spec[q.spec], q.label, verdict, unit.lifetimes)
            if placement is not None and q.spec != "share":
                return read_placement(q.spec, placement, unit.lifetimes)
            if q.split in trials:
                return combine_rollouts([np.stack(sum_gains(trials[q.split], "intact"))])
            return Value(None, why=f"there is no split {q.split}")

        return {q.name: read_value(q) for q in unit.quantities}

    def read_seconds(self, unit: Unit) -> tuple[str, float | None]:
        """Returns the key of a unit, and the seconds that it took, or None for a unit without a recorded time."""
        if unit.kind == "train":
            folder = self._find_network_folder(unit)
            key, path = folder.name, folder / TRAINING_TIME_FILE
        else:
            path = self._find_path(unit)[0]
            key = path.stem
        seconds = read_json(path).get("seconds")
        return f"{unit.kind} {key}", float(seconds) if isinstance(seconds, int | float) else None

    def write_seconds(self) -> None:
        """Writes each unit's seconds and the machine's load to seconds.json, unless the file has these seconds."""
        path = self.out / "seconds.json"
        seconds = {key: s for key, s in map(self.read_seconds, self.units) if s is not None}
        if read_json(path).get("units") == seconds:
            return
        load = [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else []
        summary = {"study": self.study.name, "total": round(sum(seconds.values()), 1)}
        summary |= {"cores": os.cpu_count(), "load": load}
        write_text(path, json.dumps({**summary, "units": seconds}, indent=1))


def combine_rollouts(arrays: list[np.ndarray]) -> Value:
    """Joins the arrays of a measure, one per rollout with N lifetimes, into one value.

    If the arrays have one row [1, N], the value is the mean over lifetimes. If they have two rows [2, N], it is the sum
    of the first row divided by the sum of the second.
    """
    rows = np.concatenate(arrays, axis=1)
    if len(rows) == 2 and not abs(rows[1].sum()) > 0:
        return Value(None, why="there is nothing to gain there")
    values = rows[0] if len(rows) == 1 else compute_ratio(rows[0], rows[1])
    if not np.isfinite(values).any():
        return Value(None, why="no lifetime gave a number")
    n = int(np.isfinite(values).sum())
    return Value(
        float(compute_intervals(values[None]).estimate[0]), compute_standard_error(values) if n > 1 else None, n
    )


def read_placement(spec: str, placement: Placement, lifetimes: int) -> Value:
    """Reads the number with the name `spec` from a placement; a level becomes its number on the ladder."""
    require_known_name("number of a placement", spec, PLACEMENT_QUANTITIES)
    level = placement.describe()
    if spec in ("lowest", "highest"):
        rung = getattr(placement, spec)
        return Value(float(LEVEL_NUMBERS[rung]), n=lifetimes, text=rung)
    if spec in RATE_QUANTITIES:
        is_acquiring = LEVEL_NUMBERS[placement.lowest] >= LEVEL_NUMBERS["acquiring"]
        return Value(float(is_acquiring if spec == "acquiring" else placement.level == spec), n=lifetimes, text=level)
    number = placement.numbers.get(spec)
    if number is None:
        reason = placement.reason.partition("because ")[2].partition(":")[0].partition(";")[0].rstrip(".")
        return Value(None, why=reason or f"not read by the rule, which says {level}")
    if not math.isfinite(number):  # a span
        return Value(None, why=f"more than {placement.numbers['longest_span']} trials")
    return Value(float(number), placement.numbers.get(f"{spec}_error"), lifetimes)


def make_verdict_value(axis: axes.Axis, reading: str, verdict: axes.Verdict | None, lifetimes: int) -> Value:
    """Makes a value of an axis's verdict, which is 1 if the verdict has this reading, otherwise 0."""
    require_known_name(f"reading of the axis {axis.name!r}", reading, axis.reading_meanings)
    if verdict is None:
        return Value(None, why=f"the axis {axis.name!r} does not apply there")
    return Value(float(verdict.reading == reading), n=lifetimes, text=verdict.describe())


def _make_finding_value(findings: list[Any], quantity: Quantity) -> Value:
    """Makes a value of the finding that a quantity selects."""
    matching = [
        f
        for f in findings
        if quantity.label in ("", f.metric.partition(": ")[2]) and quantity.split in (f.split, "any")
    ]
    if not matching and all(f.status != "measured" for f in findings):
        return Value(None, why=findings[0].reason if findings else "the metric gave no reading")
    if not matching:
        labels = sorted({f"{f.metric.partition(': ')[2]} on {f.split}" for f in findings})
        problem = f"The metric {quantity.spec!r} gives no {quantity.label!r} on {quantity.split}."
        raise MesascopeError(problem, f"The metric gives: {'; '.join(labels)}.")
    finding = matching[0]
    if finding.estimate is None:
        return Value(None, why=finding.reason)
    return Value(float(finding.estimate), None, finding.n)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file of a study; returns {} if the file is missing or broken, so that its unit runs again."""
    try:
        return _make_dict(limits.parse_json(path.read_text()))
    except (OSError, ValueError):
        return {}


def _make_dict(value: Any) -> dict[str, Any]:
    """Returns the value if it is a dict, otherwise {}."""
    return value if isinstance(value, dict) else {}


def _read_values(path: Path) -> dict[str, Value]:
    """Reads the values of a finished measurement; returns {} if its file is missing or broken."""
    values = _make_dict(read_json(path).get("values"))
    try:
        saved_values = {name: Value(**fields) for name, fields in values.items()}
    except TypeError:
        return {}
    numbers = [x for value in saved_values.values() for x in (value.number, value.error) if x is not None]
    return saved_values if all(isinstance(x, (int, float)) for x in numbers) else {}
