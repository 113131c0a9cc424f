"""Draws the gain on fresh tasks under every condition of the run."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mesascope.contracts.metric import gains
from mesascope.reporting.figures import GAINED, SUBJECT, label_rows, make_panels
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.intervals import can_normalise, means
from mesascope.reporting.words import describe_condition, shorten
from mesascope.stats import ratio


class Disturbed(NamedTuple):
    """The share of the possible gain under one condition, over all its replicates."""

    condition: str
    estimate: float
    low: float
    high: float


def find_disturbed(examination: Examination) -> list[Disturbed]:
    """The gain on fresh tasks under every condition except one-step conditions, which have no pay-off of their own."""
    trials = examination.trials.get("fresh")
    if trials is None or "score" not in trials or not can_normalise(trials):
        return []
    labels = trials.condition.values[np.isfinite(trials.score.values).any((1, 2))]
    names = list(dict.fromkeys(re.sub(r",?replicate=\d+", "", str(c)) for c in labels))
    intervals = means(trials, np.stack([ratio(*gains(trials, c)) for c in names]))
    rows = [Disturbed(c, *(float(v[i]) for v in intervals[:3])) for i, c in enumerate(names)]
    return sorted(rows, key=lambda r: _rank(r.condition))


def select_others(examination: Examination) -> list[Disturbed]:
    """The gains of `disturbed`, without those that the figure of the memory span shows, and without single acts."""
    spans = re.compile(r"past_deleted:|past_(deleted|transplanted)_once:")
    return [d for d in find_disturbed(examination) if not spans.match(d.condition)]


def order(rows: Sequence[Disturbed]) -> list[str]:
    """The conditions in the order of the page."""
    return sorted(dict.fromkeys(r.condition for r in rows), key=_rank)


def _rank(label: str) -> tuple[int, str, int]:
    """A sort key: undisturbed first, then by kind, then by number."""
    kind, _, rest = label.partition(":")
    number = re.search(r"\d+", rest)
    return (kind != "intact", kind, int(number.group()) if number else -1)


def draw(axes: Axes, rows: Sequence[Disturbed], labels: Sequence[str], title: str) -> None:
    """Draws one subject's panel, with a row per condition and a line at the undisturbed gain."""
    label_rows(axes, len(labels), title)
    y = [labels.index(r.condition) for r in rows]
    axes.hlines(y, [r.low for r in rows], [r.high for r in rows], color=SUBJECT, lw=1.5)
    for mark, intact in (("s", True), ("o", False)):
        group = [r for r in rows if (r.condition == "intact") == intact]
        at = [labels.index(r.condition) for r in group]
        axes.plot([r.estimate for r in group], at, mark, color=SUBJECT, ms=4.5)
        for r in group if intact else ():
            axes.axvline(r.estimate, color=SUBJECT, lw=0.6, alpha=0.5, zorder=1)


def figure(groups: Sequence[Sequence[Disturbed]], names: Sequence[str]) -> Figure:
    """A figure with one panel per subject; all panels have the same rows."""
    labels = order([r for rows in groups for r in rows])
    drawing, axes = make_panels(len(groups), 3, 0.19 * len(labels) + 0.5, GAINED)
    for one, rows, name in zip(axes, groups, names, strict=True):
        draw(one, rows, labels, name)
    axes[0].set_yticks(range(len(labels)), [shorten(describe_condition(c), 44) for c in labels])
    return drawing
