"""Draws each subject's position between the ideal locator of its bank (0) and any learner (1)."""

from collections.abc import Sequence
from typing import NamedTuple

from mesascope.reporting.figures import GRID_COLOUR, MUTED_COLOUR, SUBJECT_COLOUR, TEXT_COLOUR
from mesascope.reporting.headlines import find_measured_finding
from mesascope.reporting.hints import Examination, Figure
from mesascope.reporting.words import shorten

X_LIMITS = (-0.5, 1.5)


class Position(NamedTuple):
    """One subject's position, which is 0 for the ideal locator of its bank and 1 for any learner.

    Attributes:
        name: the subject's name.
        bank: 'bank:M@seed'.
        estimate: the estimated position.
        low: the lower end of its interval.
        high: the upper end of its interval.
        kept_share: the share of its gain that the ideal locator keeps on fresh tasks.
        threshold: the position that separates a locator from a learner in the placement rule.
    """

    name: str
    bank: str
    estimate: float
    low: float
    high: float
    kept_share: float
    threshold: float


def find_positions(examinations: Sequence[Examination]) -> list[Position]:
    """Finds the measured positions, with intervals, of subjects that were trained on a bank."""
    rows = []
    for e in examinations:
        position = find_measured_finding(e, "locate_or_learn: position")
        kept_finding = find_measured_finding(e, "locate_or_learn: kept by the ideal locator")
        if position is None or position.low is None or position.high is None or not e.trained_on.startswith("bank"):
            continue
        threshold = e.placement.rule.min_position if e.placement else 0.5
        kept_share = kept_finding.estimate if kept_finding and kept_finding.estimate is not None else float("nan")
        estimates = (position.estimate or 0.0, position.low, position.high)
        rows.append(Position(e.subject, e.trained_on, *estimates, kept_share, threshold))
    return rows


def draw_figure(positions: Sequence[Position]) -> Figure:
    """Draws a figure with one row per subject; an arrow marks a number outside the figure."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6.5, 0.42 * len(positions) + 0.75), layout="constrained")
    axes = drawing.subplots()
    for x in (0, 1):
        axes.axvline(x, color=TEXT_COLOUR, lw=0.8, zorder=1)
    axes.axvline(positions[0].threshold, color=MUTED_COLOUR, lw=0.8, ls=(0, (2, 2)), zorder=1)
    for y, row in enumerate(positions):
        axes.axhline(y, color=GRID_COLOUR, lw=0.5, zorder=0)
        low, high = max(row.low, X_LIMITS[0]), min(row.high, X_LIMITS[1])
        if low < high:
            axes.plot([low, high], [y, y], color=SUBJECT_COLOUR, lw=2)
        marker = "<" if row.estimate < X_LIMITS[0] else ">" if row.estimate > X_LIMITS[1] else "o"
        x = min(max(row.estimate, X_LIMITS[0]), X_LIMITS[1])
        axes.plot(x, y, marker, color=SUBJECT_COLOUR, ms=6, clip_on=False, zorder=4)
    labels = [f"{shorten(r.name, 26)}\n{shorten(r.bank, 20)}, its locator keeps {r.kept_share:.2f}" for r in positions]
    axes.set_yticks(range(len(positions)), labels)
    axes.set_ylim(len(positions) - 0.4, -0.6)
    axes.set_xlim(*X_LIMITS)
    axes.spines.left.set_visible(False)
    axes.tick_params(axis="y", length=0)
    tick_names = {0: "ideal locator of the bank", positions[0].threshold: "the rule's threshold", 1: "any learner"}
    axes.set_xticks(list(tick_names), [f"{x:g}\n{name}" for x, name in tick_names.items()])
    return drawing
