"""Readings beside the spectrum: whose goal it pursues, whether it searches. An axis is one file here.

An axis reads trials that have been lived; it applies where the splits that it needs are among them. Its readings
stand in no order, and 'undetermined' is always one of them. `NAME.toml` beside the file holds the scripted subjects
whose reading is known; `mesascope validate` holds the axis to it.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from mesascope import catalogue
from mesascope.errors import MesascopeError

Splits = Mapping[str, xr.Dataset]
UNDETERMINED = "undetermined"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Where a subject stands on one axis.

    Attributes:
        reading: one of the axis's readings.
        probability: the share of resamples in which the rule returns each reading; no posterior.
        numbers: what the rule read, and its constants under 'rule'.
        reason: in words, with what would settle it.
    """

    reading: str
    probability: dict[str, float]
    numbers: dict[str, Any]
    reason: str

    def text(self) -> str:
        """The reading in one line."""
        return f"{self.reading} (in {self.probability.get(self.reading, 0.0):.0%} of resamples)"


@dataclasses.dataclass(frozen=True)
class Axis:
    """One question to which a placement on the spectrum is no answer.

    Attributes:
        name: the file's name.
        question: in words.
        words: every reading, and what it means.
        read: read(trials, family) → Verdict; `trials` holds the subject's data set per split, `family` is what it lived
            in. None where the question does not arise in that family.
        applies: the kinds of split one of which must have been lived.
        tested: the kinds of split that its scripted subjects are put to.
        conditions: labels of the conditions that it reads, where they make sense for the family.
    """

    name: str
    question: str
    words: Mapping[str, str]
    read: Callable[[Splits, Any], Verdict | None]
    applies: tuple[str, ...]
    tested: tuple[str, ...]
    conditions: tuple[str, ...] = ("intact",)

    def conditions_for(self, family: Any) -> list[Any]:
        """Its conditions that make sense for a family."""
        conditions = (catalogue.make("conditions", label) for label in self.conditions)
        return [c for c in conditions if not c.unfit(family)]


def conditions_read(family: Any) -> dict[str, tuple[str, ...]]:
    """What the axes read in a family: labels of conditions, each with the kinds of split on which it is lived."""
    result: dict[str, tuple[str, ...]] = {}
    for name in catalogue.names("axes"):
        axis: Axis = catalogue.make("axes", name)
        for condition in axis.conditions_for(family):
            result[condition.label] = tuple(dict.fromkeys((*result.get(condition.label, ()), *axis.tested)))
    return result


@functools.lru_cache(maxsize=64)
def _make_family(name: str) -> Any:
    """A family by name, made once for all the placements in it."""
    return catalogue.make("families", name)


def read(trials: Splits) -> dict[str, dict[str, Any]]:
    """The verdict of every axis that applies, by the axis's name, as plain data."""
    kinds = {split.partition(":")[0] for split in trials}
    result = {}
    for name in catalogue.names("axes"):
        axis: Axis = catalogue.make("axes", name)
        if not kinds & set(axis.applies):
            continue
        try:
            family = _make_family(str(next(iter(trials.values())).attrs.get("family")))
        except MesascopeError:  # lived in an object that no name makes again
            continue
        verdict = axis.read(trials, family)
        if verdict is not None:
            result[name] = dataclasses.asdict(verdict)
    return result
