"""Metrics: a metric answers one question about trials with one number per lifetime.

A metric does not compute intervals, because `mesascope.stats` computes them for all metrics. In shapes, N is the number
of lifetimes, T of trials in a lifetime, and U of units of a tap.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.trials import fill_in_trial_counts, measure_gain

TrialsBySplit = Mapping[str, xr.Dataset]
CONTROL_ROLES = ("learner", "lookalike", "still")


class DoesNotApply(Exception):
    """The exception that a metric raises if its question does not fit the trials; the message gives the reason."""


class Reading(NamedTuple):
    """One number per lifetime.

    Attributes:
        values: [N] the numbers, NaN if a lifetime has none. The estimate is their mean, or the mean of the units' means
            if `unit` names a variable.
        split: the split of the lifetimes.
        label: the name of this reading, if the metric has several readings; otherwise ''.
        null: the mean under the null hypothesis.
        reason: a caveat that reports print beside the estimate; if all values are NaN, the reason why.
        is_descriptive: whether the placement rule ignores this reading, although it uses other readings of the metric.
        unit: the unit of resampling; '' for the unit of the trials. It is the name of a variable [N] of the trials that
            numbers the units. With any other name, every value is one unit, and there may be more or fewer than N.
        p: the p-value, if the metric has its own test; None for the p-value of a t test of the values.
        intervals: [2, N] the ends of each participant's own interval, if the metric fits a model to every participant
            of a log.
    """

    values: np.ndarray
    split: str = "fresh"
    label: str = ""
    null: float = 0.0
    reason: str = ""
    is_descriptive: bool = False
    unit: str = ""
    p: float | None = None
    intervals: np.ndarray | None = None


MeasureFunction = Callable[[TrialsBySplit, Mapping[str, TrialsBySplit], Any], Sequence[Reading]]  # see `Metric.measure`


@dataclasses.dataclass(frozen=True)
class Metric:
    """One question about trials.

    Attributes:
        name: the name of the metric's file, without the ending.
        question: the question in words.
        measure: measure(trials, references, replay) returns the metric's readings, each with one number per lifetime.
            `trials` maps each split to a data set. `references` maps each role to a reference procedure's data sets on
            the same tasks. `replay` is a function that replays a procedure, such as the subject itself or its untrained
            twin, along recorded trials (see `mesascope.rollouts.replays.Replays`), or None if replays are not possible.
            `measure` raises `DoesNotApply` if the question does not fit the trials.
        conditions: the labels of the conditions that the metric needs. In a label, {half} stands for half the number of
            trials, {tenth} for a tenth of it (both rounded down), and {few} for w, the number of trials after which a
            trial counts as older.
        splits: the kinds of split that the metric can use; it does not apply if none of them was run, except to a log.
        references: the roles of the references that the metric can use.
        expected_signs: where the estimate must lie for each control (learner, lookalike, still): above the null value
            ('+'), below it ('-'), near it ('0') or anywhere ('any', the default). Examinations do not measure a
            control that is left out; a slow metric may leave out all controls except the learner.
        settings: the values of the metric's settings, by name.
        is_confirmatory: whether the placement rule uses the metric.
        is_cheap: whether the metric takes so little time that it can be measured many times for each participant.
    """

    name: str
    question: str
    measure: MeasureFunction
    expected_signs: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict.fromkeys(CONTROL_ROLES, "any"))
    conditions: tuple[str, ...] = ("intact",)
    splits: tuple[str, ...] = ("fresh",)
    references: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_confirmatory: bool = False
    is_cheap: bool = True


def make_metric(
    question: str, measure: MeasureFunction, expected_signs: Mapping[str, str] | None = None, **settings: Any
) -> Metric:
    """Makes a metric with settings, named after its file; `Metric` explains the arguments."""
    name = measure.__module__.rpartition(".")[2]
    return Metric(
        name, question, measure, settings=settings, expected_signs=expected_signs or dict.fromkeys(CONTROL_ROLES, "any")
    )


def define_metric(question: str, **attributes: Any) -> Callable[[MeasureFunction], Callable[[], Metric]]:
    """Decorates a `measure` function: turns it into the factory of a metric without settings, named after its file.

    Args:
        question: the question in words.
        attributes: further attributes of the metric (see `Metric`).
    """

    def make_factory(measure: MeasureFunction) -> Callable[[], Metric]:
        def metric() -> Metric:
            return Metric(measure.__module__.rpartition(".")[2], question, measure, **attributes)

        metric.__module__, metric.__doc__ = measure.__module__, measure.__doc__
        return metric

    return make_factory


def pad_readings(readings: Iterable[Reading], trials: xr.Dataset) -> list[Reading]:
    """Adds NaN for the last lifetimes to readings that cover only the first lifetimes."""
    missing = np.full(trials.sizes["lifetime"], np.nan)
    return [r._replace(values=np.concatenate([r.values, missing[len(r.values) :]])) for r in readings]


def select_fresh_trials(trials: TrialsBySplit) -> xr.Dataset:
    """Selects the trials on the fresh split; if there are none, the logged trials.

    Raises:
        DoesNotApply: there are neither fresh nor logged trials.
    """
    for split in ("fresh", "logged"):
        if split in trials:
            return trials[split]
    raise DoesNotApply("there are no lifetimes on fresh tasks")


def select_condition(trials: TrialsBySplit, condition: str, split: str = "fresh") -> xr.Dataset:
    """Selects a split's trials under one condition, without the axis of conditions.

    Args:
        trials: a data set for each split, as a metric receives them.
        condition: the condition as in `Metric.conditions`, such as 'carry_reset:trial={half}'.
        split: the name of the split; 'fresh' selects the log if there are only logged trials.

    Raises:
        DoesNotApply: the split or the condition was not run, for example because the condition does not fit the family.
    """
    split_trials = select_fresh_trials(trials) if split == "fresh" else trials.get(split)
    if split_trials is None:
        raise DoesNotApply(f"the split {split!r} was not run")
    label = catalogue.make("conditions", fill_in_trial_counts(condition, split_trials.sizes["trial"])).label
    if label not in split_trials.condition.values:
        raise DoesNotApply(f"the condition {label!r} was not run on {split_trials.attrs.get('family', 'this family')}")
    return split_trials.sel(condition=label)


def require_choices(trials: xr.Dataset) -> xr.Dataset:
    """Returns the trials if each of them is one choice among K actions.

    Raises:
        DoesNotApply: actions are real numbers, or trials have several steps.
    """
    if trials.attrs.get("actions") == "real":
        raise DoesNotApply("its actions are real numbers, but the question is about choices")
    if int(trials.attrs.get("steps", 1)) > 1:
        raise DoesNotApply("its trials have several steps, but the question is about trials of one choice")
    return trials


def list_replicates(trials: xr.Dataset, prefix: str) -> list[str]:
    """Lists the labels of a condition's replicates: `prefix` itself, and labels that begin with `prefix` and a comma.

    Raises:
        DoesNotApply: the condition was not run.
    """
    labels = [c for c in trials.condition.values.tolist() if c == prefix or c.startswith(f"{prefix},")]
    if not labels:
        raise DoesNotApply(f"the condition {prefix!r} was not run")
    return labels


def sum_gains(trials: xr.Dataset, prefix: str, **window: Any) -> tuple[np.ndarray, np.ndarray]:
    """Sums score - chance, and best - chance, over those trials of each lifetime that count.

    Args:
        trials: the trials on one split.
        prefix: the label of the condition without its replicate; the first sum is averaged over the replicates.
        window: further arguments of `measure_gain`, such as `window`, which sets other trials to sum over.

    Returns:
        The two sums, each [N].

    Raises:
        DoesNotApply: the condition was not run, or it shuffles older feedback although lifetimes have only one trial.
    """
    if prefix.startswith("feedback_shuffled") and trials.sizes["trial"] == 1:
        raise DoesNotApply(
            "a lifetime has one trial, so no feedback is older than a trial (if an episode of a Gymnasium environment "
            "is a whole lifetime, set trial=step)"
        )
    parts = [measure_gain(trials, label, **window) for label in list_replicates(trials, prefix)]
    return np.mean([p[0] for p in parts], 0), parts[0][1]


def find_family(replay: Any, trials: xr.Dataset) -> Any:
    """Finds the family that the trials name, with the bank that the subject was trained on.

    Raises:
        DoesNotApply: the family is not available.
    """
    if not hasattr(replay, "make_family"):
        raise DoesNotApply("the family is not available")
    try:
        return replay.make_family(trials)
    except MesascopeError as error:
        raise DoesNotApply(f"the family is not available: {error.problem}") from None


def record_taps(replay: Any, trials: xr.Dataset, role: str = "itself") -> dict[str, np.ndarray]:
    """Replays recorded trials to the subject, and returns its taps [N, T, U] by name, as far as `list_taps` lists them.

    `role` is 'itself', or 'untrained' for the subject's untrained twin. If trials have several steps, the shape is
    [N, T, S, U], with S steps in a trial.

    Raises:
        DoesNotApply: the subject is not available, has no such taps, or has no untrained twin.
    """
    if replay is None:
        raise DoesNotApply("the question needs the subject itself, and there is only a log")
    try:
        return dict(replay(role, trials, recorded_taps=replay.list_taps(role, trials)).taps)
    except MesascopeError as error:
        raise DoesNotApply(f"{error.problem} {error.remedy}") from None
