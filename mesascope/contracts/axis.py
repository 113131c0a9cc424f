"""Axes: questions besides the spectrum, such as which goal a subject pursues and whether it searches.

An axis is one file. The axis reads finished trials, and applies only if these include a split of a kind that it can
use. The readings of an axis have no order, and one of them is always 'undetermined'. A .toml file of the same name
lists scripted subjects with known readings; `mesascope validate` checks the axis against these subjects.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from mesascope import catalogue
from mesascope.errors import MesascopeError

TrialsBySplit = Mapping[str, xr.Dataset]
UNDETERMINED = "undetermined"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Where a subject stands on one axis.

    Attributes:
        reading: one of the axis's readings.
        probability: for each reading, the share of resamples in which the rule returns it. The share is not a posterior
            probability.
        numbers: the statistics from which the rule decides, and the constants of the rule under the key 'rule'.
        reason: an explanation in words; if the reading is undetermined, the reason says what would settle the question.
    """

    reading: str
    probability: dict[str, float]
    numbers: dict[str, Any]
    reason: str

    def describe(self) -> str:
        """Describes the reading and its share of the resamples, in one line."""
        return f"{self.reading} (in {self.probability.get(self.reading, 0.0):.0%} of resamples)"


@dataclasses.dataclass(frozen=True)
class Axis:
    """One question that the placement on the spectrum does not answer.

    Attributes:
        name: the axis's name in the catalogue.
        question: the question in words.
        reading_meanings: the meaning of every reading.
        read: the function read(trials, family) that returns a Verdict, or None if the question does not apply to the
            family or the splits. `trials` maps each split to the subject's data set; `family` is the family of the
            tasks.
        needed_split_kinds: the kinds of split that the axis can use; it needs at least one of them.
        tested_split_kinds: the kinds of split on which `mesascope validate` runs the scripted subjects, and on which an
            examination runs the conditions that have no entry in `split_kinds_by_condition`.
        conditions: the labels of the conditions that the axis reads; conditions that do not fit a family are left out.
        split_kinds_by_condition: maps a condition's label to the kinds of split on which the axis reads this condition.
            A condition without an entry is read on every kind of split on which it was run.
    """

    name: str
    question: str
    reading_meanings: Mapping[str, str]
    read: Callable[[TrialsBySplit, Any], Verdict | None]
    needed_split_kinds: tuple[str, ...]
    tested_split_kinds: tuple[str, ...]
    conditions: tuple[str, ...] = ("intact",)
    split_kinds_by_condition: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def list_conditions(self, family: Any, split_kind: str | None = None) -> list[Any]:
        """Lists the axis's conditions that fit a family; with `split_kind`, only the conditions read on this kind."""
        labels = [
            c
            for c in self.conditions
            if split_kind is None or split_kind in self.split_kinds_by_condition.get(c, (split_kind,))
        ]
        return [c for c in (catalogue.make("conditions", label) for label in labels) if not c.explain_mismatch(family)]


def list_conditions_of_axes(family: Any) -> dict[str, tuple[str, ...]]:
    """Maps the label of every condition that an axis reads for a family to the kinds of split on which it is to run."""
    result: dict[str, tuple[str, ...]] = {}
    for name in catalogue.list_names("axes"):
        axis: Axis = catalogue.make("axes", name)
        for condition in axis.list_conditions(family):
            kinds = axis.split_kinds_by_condition.get(condition.label, axis.tested_split_kinds)
            result[condition.label] = tuple(dict.fromkeys((*result.get(condition.label, ()), *kinds)))
    return result


@functools.lru_cache(maxsize=64)
def _make_family(name: str) -> Any:
    """Makes the family with this name, and caches it."""
    return catalogue.make("families", name)


def compute_axis_verdicts(trials: TrialsBySplit) -> dict[str, dict[str, Any]]:
    """Computes the verdicts of all axes that apply, and returns each as a dictionary, by the name of its axis.

    The result is empty if the family cannot be made from the name that the trials state.
    """
    kinds = {split.partition(":")[0] for split in trials}
    result = {}
    for name in catalogue.list_names("axes"):
        axis: Axis = catalogue.make("axes", name)
        if not kinds & set(axis.needed_split_kinds):
            continue
        try:
            family = _make_family(str(next(iter(trials.values())).attrs.get("family")))
        except MesascopeError:  # the family was passed as an object, and its name does not recreate it
            continue
        verdict = axis.read(trials, family)
        if verdict is not None:
            result[name] = dataclasses.asdict(verdict)
    return result
