"""Draws the gain on fresh tasks under every condition of the run."""

import re
from collections.abc import Sequence

import numpy as np

from mesascope.contracts import sum_gains
from mesascope.reporting.figures import GAIN_LABEL, SUBJECT_COLOUR, make_panels, prepare_rows
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.intervals import Gain, can_normalise, compute_label_gains
from mesascope.reporting.words import describe_condition, shorten
from mesascope.stats import compute_ratio


def compute_condition_gains(examination: Examination) -> list[Gain]:
    """Computes the gain on fresh tasks under every condition, except one-step conditions.

    One-step conditions have no pay-off of their own. Each gain is over all replicates of its condition.
    """
    trials = examination.trials.get("fresh")
    if trials is None or "score" not in trials or not can_normalise(trials):
        return []
    labels = trials.condition.values[np.isfinite(trials.score.values).any((1, 2))]
    names = sorted(dict.fromkeys(re.sub(r",?replicate=\d+", "", str(c)) for c in labels), key=_make_sort_key)
    return compute_label_gains(
        trials, names, [compute_ratio(*sum_gains(trials, c)) for c in names], "subject", examination.subject
    )


def select_drawn_gains(examination: Examination) -> list[Gain]:
    """Selects the gains that the figure shows: all but those of conditions that delete or transplant older trials."""
    span = re.compile(r"past_deleted:|past_(deleted|transplanted)_once:")
    return [g for g in compute_condition_gains(examination) if not span.match(g.label)]


def sort_labels(gains: Sequence[Gain]) -> list[str]:
    """Sorts the conditions into the order of the page."""
    return sorted(dict.fromkeys(g.label for g in gains), key=_make_sort_key)


def _make_sort_key(condition: str) -> tuple[bool, str, int]:
    """Makes the sort key of a condition: undisturbed lifetimes first, then by name, then by the number in the label."""
    kind, _, rest = condition.partition(":")
    number = re.search(r"\d+", rest)
    return (kind != "intact", kind, int(number.group()) if number else -1)


def draw_panel(axes: Axes, gains: Sequence[Gain], labels: Sequence[str]) -> None:
    """Draws one subject's panel, with a row per condition and a line at the undisturbed gain."""
    prepare_rows(axes, len(labels), gains[0].name)
    y = [labels.index(g.label) for g in gains]
    axes.hlines(y, [g.low for g in gains], [g.high for g in gains], color=SUBJECT_COLOUR, lw=1.5)
    for marker, is_intact in (("s", True), ("o", False)):
        group = [g for g in gains if (g.label == "intact") == is_intact]
        y = [labels.index(g.label) for g in group]
        axes.plot([g.estimate for g in group], y, marker, color=SUBJECT_COLOUR, ms=4.5)
        for g in group if is_intact else ():
            axes.axvline(g.estimate, color=SUBJECT_COLOUR, lw=0.6, alpha=0.5, zorder=1)


def draw_figure(groups: Sequence[Sequence[Gain]]) -> Figure:
    """Draws a figure with one panel per subject; all panels have the same rows."""
    labels = sort_labels([g for gains in groups for g in gains])
    drawing, panels = make_panels(len(groups), 3, 0.19 * len(labels) + 0.5, GAIN_LABEL)
    for axes, gains in zip(panels, groups, strict=True):
        draw_panel(axes, gains, labels)
    panels[0].set_yticks(range(len(labels)), [shorten(describe_condition(c), 44) for c in labels])
    return drawing
