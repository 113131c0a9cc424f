"""Compares two subjects on the same tasks: the difference of every metric, and what a difference in level rests on.

Each metric gives one number per lifetime. If both subjects lived the same tasks, the interval of the difference comes
from the paired differences of these numbers. Each side can also consist of several networks of one training recipe,
which differ in their training seed. Then the interval is one of the difference between the recipes: training seeds and
lifetimes are both random, and the variances of these two crossed factors are added (Cameron, Gelbach & Miller 2011,
equation 2.7).
"""

import csv
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from mesascope.catalogue import make_plugins
from mesascope.errors import require
from mesascope.examination.examination import Examination, examine
from mesascope.examination.measurement import apply_metrics
from mesascope.files import replace_when_written, write_text
from mesascope.formats import replace_non_finite
from mesascope.questions.spectrum.ladder import LADDER
from mesascope.reporting.headlines import describe_placement
from mesascope.reporting.words import format_number
from mesascope.stats import CONFIDENCE, adjust_holm, average_by_unit, compute_group_contrast

OLDER_TRIALS = ("deletion", "transplant", "locate_or_learn")  # what decides between tracking, locating and acquiring
ANY_USE = ("dependence_on_percept", "dependence_on_carry")  # what decides between the lower levels
MARGIN = 0.05  # the default margin of equivalence, in the unit of each metric
Verdict = Literal["higher", "lower", "equivalent", "not determined"]


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference between two subjects, or two groups of subjects, in one metric on one split.

    Attributes:
        metric: the metric's name. If the metric has several readings, a colon and the reading's label follow.
        split: the split on which the metric was measured.
        first: the estimate for the first subject, or the mean of the first group.
        second: the estimate for the second subject, or the mean of the second group.
        difference: `first` minus `second`.
        low: the lower end of the 95 % interval of the difference.
        high: the upper end of the 95 % interval of the difference.
        p: the two-sided p-value against a difference of 0.
        holm: the p-value adjusted over all differences of the comparison by the method of Holm.
        verdict: 'higher' or 'lower' if the interval excludes 0; 'equivalent' if it does not, but the difference is
            smaller than the margin (two one-sided tests at 5 %); otherwise 'not determined'.
        is_within_margin: whether the difference is smaller than the margin, whatever its sign (two one-sided tests).
        n: the number of units; if the subjects are not paired, of the units of both.
        unit: the unit of resampling, such as 'lifetime', 'donor' or 'training seed'.
        is_paired: whether the interval comes from differences on the same units.
        correlation: the correlation of the two subjects' numbers; NaN if they are not paired, or if there are several
            training seeds.
        confirmatory: whether the placement rule uses the metric.
    """

    metric: str
    split: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    holm: float
    verdict: Verdict
    is_within_margin: bool
    n: int
    unit: str
    is_paired: bool
    correlation: float
    confirmatory: bool

    def describe(self) -> str:
        """Describes the two estimates and the difference with its interval."""
        first, second, low, high = (format_number(x) for x in (self.first, self.second, self.low, self.high))
        return f"{self.metric} {first} against {second} (difference {format_number(self.difference)} [{low}, {high}])"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The result of comparing two subjects, or two groups of subjects.

    Attributes:
        first: the first subject's name; for several training seeds, the name of one of them and their number.
        second: the same of the second subject.
        family: the family.
        margin: the margin of equivalence, in the unit of each metric.
        differences: one per metric and split, those that the placement rule uses first.
        level_explanation: the levels, and the numbers on which a difference in level rests.
        omitted_metrics: metrics that were measured for one side alone.
    """

    first: str
    second: str
    family: str
    margin: float
    differences: list[Difference]
    level_explanation: str
    omitted_metrics: tuple[str, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """A table with one row per difference and the attributes of `Difference` as columns."""
        names = [field.name for field in dataclasses.fields(Difference)]
        return pd.DataFrame([dataclasses.asdict(d) for d in self.differences], columns=names)

    def get_difference(self, metric: str, split: str = "fresh") -> Difference:
        """Returns the difference in one metric on one split.

        Raises:
            MesascopeError: the metric was not measured for both sides on this split.
        """
        on_split = {d.metric: d for d in self.differences if d.split == split}
        names = ", ".join(sorted(on_split)) or "none"
        require(metric in on_split, f"There is no difference in {metric!r} on {split!r}.", f"There are: {names}.")
        return on_split[metric]

    def plot(self, metrics: Sequence[str] | None = None) -> Any:
        """Draws the differences on fresh tasks with their intervals as a matplotlib Figure.

        Args:
            metrics: the metrics to draw; by default those that the placement rule uses and the gain.
        """
        from mesascope.reporting.figures.differences import draw_figure

        rows = self.select_main_differences() if metrics is None else [self.get_difference(m) for m in metrics]
        return draw_figure(rows, self.margin, self.first, self.second)

    def select_main_differences(self) -> list[Difference]:
        """Selects the differences on fresh tasks in the gain and in the metrics that the placement rule uses."""
        return [d for d in self.differences if d.split == "fresh" and (d.confirmatory or d.metric == "performance")]

    def to_dict(self) -> dict[str, Any]:
        """Converts the comparison to plain data, as comparison.json contains it."""
        return dataclasses.asdict(self)

    def write(self, folder: str | os.PathLike) -> Path:
        """Writes comparison.json, comparison.csv and comparison.png to a folder, and returns the folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        document = replace_non_finite(self.to_dict())
        write_text(folder / "comparison.json", json.dumps(document, indent=1, allow_nan=False))
        with replace_when_written(folder / "comparison.csv") as part, part.open("w", newline="") as file:
            rows = csv.DictWriter(file, [field.name for field in dataclasses.fields(Difference)])
            rows.writeheader()
            rows.writerows(dataclasses.asdict(d) for d in self.differences)
        if self.select_main_differences():
            with replace_when_written(folder / "comparison.png") as part:
                self.plot().savefig(part, format="png", dpi=150)
        return folder

    def __repr__(self) -> str:
        return f"<Comparison of {self.first} and {self.second} on {self.family}: {self.level_explanation}>"


def compare(first: Any, second: Any, family: Any = None, *, margin: float = MARGIN, **options: Any) -> Comparison:
    """Compares two subjects, or two recipes with several training seeds each, on the same tasks.

    Args:
        first: a subject in any form that `examine` accepts, or an `Examination`; or a list of these, one per training
            seed.
        second: the same for the other side, whose numbers are subtracted.
        family: the family, as in `examine`; not used for examinations.
        margin: the largest difference that counts as none, in the unit of each metric.
        options: further arguments of `examine`; not used for examinations.

    Raises:
        MesascopeError: one side has several training seeds and the other has one, the examinations are not of the same
            family, or the margin is not positive.
    """
    require(margin > 0, f"The margin is {margin}.", "Give a positive number, such as 0.05.")
    sides = [list(side) if isinstance(side, list | tuple) else [side] for side in (first, second)]
    sizes = [len(side) for side in sides]
    problem = f"There are {sizes[0]} and {sizes[1]} subjects to compare."
    require(sizes == [1, 1] or min(sizes) >= 2, problem, "Give one of each, or at least two training seeds of each.")
    members = [member for side in sides for member in side]
    if not all(isinstance(member, Examination) for member in members):
        remedy = "Give subjects alone, or examinations alone."
        require(
            not any(isinstance(m, Examination) for m in members), "A subject cannot be compared with a run.", remedy
        )
        members = examine(members, family, **options)
    return compare_examinations(members[: sizes[0]], members[sizes[0] :], margin)


def compare_examinations(
    first: Sequence[Examination], second: Sequence[Examination], margin: float = MARGIN
) -> Comparison:
    """Compares two groups of examinations, each of one subject or of several training seeds; see `compare`."""
    sides = first, second
    families = sorted({_get_attribute(e, "family").partition(",bank=")[0] for side in sides for e in side})
    problem = f"The subjects were examined on different families: {', '.join(families)}."
    require(len(families) == 1, problem, "Examine both on the same family.")
    readings = [[_collect_units(examination) for examination in side] for side in sides]
    members = [member for side in readings for member in side]
    rows = [
        _measure_difference([[member[key] for member in side] for side in readings], margin)
        for key in members[0]
        if all(key in member for member in members)
    ]
    differences = [row for row in rows if row is not None]
    holm = adjust_holm(np.array([d.p for d in differences]))
    differences = [dataclasses.replace(d, holm=float(p)) for d, p in zip(differences, holm, strict=True)]
    differences.sort(key=lambda d: (not d.confirmatory, d.split != "fresh"))
    omitted = {key[0] for member in members for key in member} - {d.metric for d in differences}
    names = [side[0].subject + (f" ({len(side)} training seeds)" if len(side) > 1 else "") for side in sides]
    return Comparison(
        first=names[0],
        second=names[1],
        family=families[0],
        margin=margin,
        differences=differences,
        level_explanation=explain_levels(first, second, differences),
        omitted_metrics=tuple(sorted(omitted)),
    )


class Units(NamedTuple):
    """One reading of one subject, with one number per unit.

    Attributes:
        name: the metric's name, with the label of the reading.
        values: [N] the numbers; NaN for a unit without one.
        unit: the unit of resampling.
        split: the split of the trials.
        origin: what determines the tasks and the order of the units; units with the same origin can be paired.
        is_confirmatory: whether the placement rule uses the reading.
    """

    name: str
    values: np.ndarray
    unit: str
    split: str
    origin: tuple[Any, ...]
    is_confirmatory: bool


def _get_attribute(examination: Examination, name: str) -> str:
    """Returns an attribute of the trials of the first split; '' if there is none."""
    return str(next(iter(examination.trials.values())).attrs.get(name, ""))


def _collect_units(examination: Examination) -> dict[tuple[str, str], Units]:
    """Collects the readings of one subject, by the name of the metric and the split.

    A run that was read from its folder has no readings, so its trials are measured again, without replays.
    """
    readings = list(examination.readings)
    if not readings:
        metrics = make_plugins("metrics", None)
        apply_metrics(metrics, examination.trials, examination.references, collected_readings=readings)
    result = {}
    for metric, reading in ((metric, r) for metric, rows in readings for r in rows):
        trials = examination.trials.get(reading.split, next(iter(examination.trials.values())))
        unit = reading.unit or str(trials.attrs.get("unit", "lifetime"))
        values, owners = np.asarray(reading.values, float), None
        if unit in trials and trials[unit].dims == ("lifetime",):
            owners = tuple(np.unique(trials[unit].values).tolist())
            values = average_by_unit(values, trials[unit].values)
        split = str(trials.attrs.get("split", reading.split))
        tasks = (str(trials.attrs.get("family")), split, trials.attrs.get("seed"), trials.sizes["lifetime"])
        name = f"{metric.name}: {reading.label}" if reading.label else metric.name
        if np.isfinite(values).any():
            origin = (*tasks, unit, owners, len(values))
            is_confirmatory = metric.is_confirmatory and not reading.is_descriptive
            result[name, split] = Units(name, values, unit, split, origin, is_confirmatory)
    return result


def _measure_difference(sides: Sequence[Sequence[Units]], margin: float) -> Difference | None:
    """Measures the difference of two sides in one reading; None if there are too few units for an interval.

    Args:
        sides: for each side, one entry per training seed.
        margin: the margin of equivalence.
    """
    members = [member for side in sides for member in side]
    example = members[0]
    # the units of a reading of its own, such as some of the donors, may be others for another subject
    has_own_units = example.origin[-2] is None and len(example.values) != example.origin[3]
    is_paired = len({member.origin for member in members}) == 1 and not has_own_units
    if is_paired:
        valid = np.isfinite([member.values for member in members]).all(0)
        is_paired = bool(valid.sum() >= 3)
    values = [[m.values[valid if is_paired else np.isfinite(m.values)] for m in side] for side in sides]
    if is_paired:
        groups = [np.stack(rows) for rows in values]
    elif len(sides[0]) > 1:  # every training seed has tasks of its own, whose noise is part of that of its mean
        groups = [np.array([[row.mean()] for row in rows]) for rows in values]
    else:
        groups = [rows[0][None] for rows in values]
    difference, low, high, n, p = (float(x[0]) for x in compute_group_contrast(groups[0], groups[1], is_paired))
    inner = compute_group_contrast(groups[0], groups[1], is_paired, 2 * CONFIDENCE - 1)  # two one-sided tests
    if not np.isfinite(low):
        return None
    is_single = len(sides[0]) == 1
    is_within_margin = bool(-margin < inner.low[0] and inner.high[0] < margin)
    verdict: Verdict = "equivalent" if is_within_margin else "not determined"
    if low > 0 or high < 0:
        verdict = "higher" if low > 0 else "lower"
    correlation = float("nan")
    if is_paired and is_single and all(np.ptp(group) > 1e-12 for group in groups):
        correlation = float(np.corrcoef(groups[0][0], groups[1][0])[0, 1])
    return Difference(
        metric=example.name,
        split=example.split,
        first=float(groups[0].mean()),
        second=float(groups[1].mean()),
        difference=difference,
        low=low,
        high=high,
        p=p,
        holm=p,
        verdict=verdict,
        is_within_margin=is_within_margin,
        n=int(n),
        unit=example.unit if is_single else "training seed",
        is_paired=is_paired,
        correlation=correlation,
        confirmatory=example.is_confirmatory,
    )


def explain_levels(
    first: Sequence[Examination], second: Sequence[Examination], differences: Sequence[Difference]
) -> str:
    """Says which levels the subjects have and, if the levels differ, on which numbers the difference rests."""
    if not all(e.placement for e in (*first, *second)):
        return "at least one of the subjects was not placed"
    levels = [" and ".join(dict.fromkeys(describe_placement(e) for e in side)) for side in (first, second)]
    if levels[0] == levels[1]:
        return f"both are {levels[0]}"
    lowest = {e.placement.lowest for e in (*first, *second) if e.placement}
    metrics = OLDER_TRIALS if lowest <= set(LADDER[LADDER.index("tracking") :]) else (*OLDER_TRIALS, *ANY_USE)
    deciding = [d for d in differences if d.confirmatory and d.metric.partition(":")[0] in metrics]
    shown = [d.describe() for d in deciding if d.verdict in ("higher", "lower")]
    text = f"the first is {levels[0]} and the second {levels[1]}"
    if shown:
        return f"{text}; of the numbers that decide levels, these differ: {'; '.join(shown)}"
    return (
        f"{text}, but no number that decides levels was shown to differ, so the difference in level is not shown "
        "either: one subject may just pass a threshold that the other just misses"
    )
