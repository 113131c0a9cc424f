"""What is asked of trials: a metric puts one question and gives one number per lifetime.

A metric makes no interval: `mesascope.stats` does, for all metrics at once.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.trials import gain, spell_out

Splits = Mapping[str, xr.Dataset]
CONTROLS = ("learner", "lookalike", "still")


class DoesNotApply(Exception):
    """Raised by a metric whose question makes no sense here; its text says why."""


class Reading(NamedTuple):
    """One number per lifetime.

    Attributes:
        values: [N]; their mean is the estimate; NaN where a lifetime has no number.
        split: which split the lifetimes are from.
        label: what was asked, where a metric asks several things.
        null: what the mean would be if nothing were there.
        reason: what to bear in mind.
        descriptive: not read by the placement rule, though others of the metric are.
        unit: the variable [N] of the trials that names the unit of resampling, where it is not that of the trials; or
            the name of the units that the values are of themselves, as many as they are.
    """

    values: np.ndarray
    split: str = "fresh"
    label: str = ""
    null: float = 0.0
    reason: str = ""
    descriptive: bool = False
    unit: str = ""


class Measure(Protocol):
    """What a metric computes."""

    def __call__(self, trials: Splits, references: Mapping[str, Splits], replay: Any, /) -> Sequence[Reading]:
        """One number per lifetime for each thing that is asked.

        Args:
            trials: a data set per split.
            references: by role, a reference procedure's data sets on the same tasks.
            replay: forces a procedure, the subject itself or its untrained twin along recorded trials (see
                `mesascope.rollouts.replays.Replays`); None where nothing can be replayed.

        Raises:
            DoesNotApply: the question makes no sense here.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Metric:
    """One question put to trials.

    Attributes:
        name: the file's name.
        question: in words; what the number says.
        measure: measure(trials, references, replay) → readings.
        conditions: labels of the conditions it needs; {half} stands for half the horizon, {few} for a few trials.
        splits: the kinds of split it needs; where none is there it does not apply.
        references: roles it can use.
        expects: what it must read on the controls that it is put to, the learner, the lookalike and the still one:
            '+', '-', '0' or 'any', which is the default. One that takes seconds may leave out the two others than
            the learner.
        settings: what the metric was told.
        confirmatory: named in the placement rule.
    """

    name: str
    question: str
    measure: Measure
    expects: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict.fromkeys(CONTROLS, "any"))
    conditions: tuple[str, ...] = ("intact",)
    splits: tuple[str, ...] = ("fresh",)
    references: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    confirmatory: bool = False


def make_metric(question: str, measure: Measure, **settings: Any) -> Metric:
    """The metric that a file's factory makes of its settings; it is called what its file is called."""
    return Metric(measure.__module__.rpartition(".")[2], question, measure, settings=settings)


def asks(question: str, **attributes: Any) -> Callable[[Measure], Callable[[], Metric]]:
    """Turns what a metric without settings measures into its factory; the metric is called what its file is called.

    Args:
        question: in words.
        told: further attributes of the metric.
    """

    def factory_of(measure: Measure) -> Callable[[], Metric]:
        def metric() -> Metric:
            return Metric(measure.__module__.rpartition(".")[2], question, measure, **attributes)

        metric.__module__, metric.__doc__ = measure.__module__, measure.__doc__
        return metric

    return factory_of


def pad_readings(readings: Iterable[Reading], trials: xr.Dataset) -> list[Reading]:
    """Readings of the first lifetimes as readings of all: the others have no number."""
    none = np.full(trials.sizes["lifetime"], np.nan)
    return [r._replace(values=np.concatenate([r.values, none[len(r.values) :]])) for r in readings]


def fresh(trials: Splits) -> xr.Dataset:
    """The fresh split, or the log."""
    for split in ("fresh", "logged"):
        if split in trials:
            return trials[split]
    raise DoesNotApply("there are no lifetimes on fresh tasks")


def under(trials: Splits, condition: str, split: str = "fresh") -> xr.Dataset:
    """A split's trials under one condition, axes lifetime, trial.

    Args:
        trials: a data set per split, as a metric gets them.
        condition: as `asks` names it, such as 'carry_reset:at={half}'.
        split: 'fresh' is the log, where there are logged trials only.

    Raises:
        DoesNotApply: the split or the condition was not run; a condition is left out where it makes no sense.
    """
    selected = fresh(trials) if split == "fresh" else trials.get(split)
    if selected is None:
        raise DoesNotApply(f"the split {split!r} was not run")
    label = catalogue.make("conditions", spell_out(condition, selected.sizes["trial"])).label
    if label not in selected.condition.values:
        raise DoesNotApply(
            f"the condition {label!r} was not run on {selected.attrs.get('family', 'this family')}"
        )
    return selected.sel(condition=label)


def require_choices(trials: xr.Dataset) -> xr.Dataset:
    """The same trials, where each is one choice among K.

    Raises:
        DoesNotApply: actions are real numbers, or trials have several steps.
    """
    if trials.attrs.get("actions") == "real":
        raise DoesNotApply("its actions are real numbers, and the question is about choices")
    if int(trials.attrs.get("steps", 1)) > 1:
        raise DoesNotApply("its trials have several steps, and the question is about trials of one choice")
    return trials


def replicates(trials: xr.Dataset, prefix: str) -> list[str]:
    """The labels of all conditions that begin so.

    Raises:
        DoesNotApply: the condition was not run.
    """
    labels = [c for c in trials.condition.values.tolist() if c == prefix or c.startswith(f"{prefix},")]
    if not labels:
        raise DoesNotApply(f"the condition {prefix!r} was not run")
    return labels


def gains(trials: xr.Dataset, prefix: str, **window: Any) -> tuple[np.ndarray, np.ndarray]:
    """Σ(score - chance) and Σ(best - chance) [N] under a condition, the mean over its replicates."""
    parts = [gain(trials, label, **window) for label in replicates(trials, prefix)]
    return np.mean([p[0] for p in parts], 0), parts[0][1]


def family_of(replay: Any, trials: xr.Dataset) -> Any:
    """The family that trials are of, by their own word, with the bank that the subject was trained on.

    Raises:
        DoesNotApply: it is not at hand.
    """
    if not hasattr(replay, "home"):
        raise DoesNotApply("the family is not at hand")
    try:
        return replay.home(trials)
    except MesascopeError as error:
        raise DoesNotApply(f"the family is not at hand: {error.problem}") from None


def taps(replay: Any, trials: xr.Dataset, role: str = "itself") -> dict[str, np.ndarray]:
    """Every tap [N, T, U] of the subject itself, or of its untrained twin, along its recorded trials.

    Raises:
        DoesNotApply: the subject is not at hand, has no taps, or has no untrained twin.
    """
    if replay is None:
        raise DoesNotApply("nothing can be replayed here; the question needs the subject itself")
    try:
        return dict(replay(role, trials, record=replay.taps(role, trials)).taps)
    except MesascopeError as error:
        raise DoesNotApply(f"{error.problem} {error.remedy}") from None
