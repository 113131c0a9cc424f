"""The position between the ideal locator of a bank and a procedure that does as well on any task."""

from collections.abc import Sequence
from typing import NamedTuple

from mesascope.reporting.figures import INK, LINE, SOFT, SUBJECT
from mesascope.reporting.headlines import find_measured
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.words import shorten

SHOWN = (-0.5, 1.5)


class Position(NamedTuple):
    """One subject's position: 0 for the ideal locator of its bank, 1 for any learner.

    Attributes:
        name: the subject's.
        bank: 'bank:M@seed'.
        estimate: with its interval low and high.
        low: lower end.
        high: upper end.
        kept: the share that the ideal locator keeps on fresh tasks.
        cut: the rule's.
    """

    name: str
    bank: str
    estimate: float
    low: float
    high: float
    kept: float
    cut: float


def positions(examinations: Sequence[Examination]) -> list[Position]:
    """The positions of those that were trained on a bank, where they were measured with an interval."""
    out = []
    for e in examinations:
        place, kept = (
            find_measured(e, f"locate_or_learn: {w}") for w in ("position", "kept by the ideal locator")
        )
        if place is None or place.low is None or place.high is None or not e.trained_on.startswith("bank"):
            continue
        cut_at = e.placement.rule.cut if e.placement else 0.5
        share = kept.estimate if kept and kept.estimate is not None else float("nan")
        found_at = (place.estimate or 0.0, place.low, place.high)
        out.append(Position(e.subject, e.trained_on, *found_at, share, cut_at))
    return out


def draw(axes: Axes, rows: Sequence[Position]) -> None:
    """Draws a row per subject; what lies outside the picture ends in an arrow."""
    for x in (0, 1):
        axes.axvline(x, color=INK, lw=0.8, zorder=1)
    axes.axvline(rows[0].cut, color=SOFT, lw=0.8, ls=(0, (2, 2)), zorder=1)
    for y, row in enumerate(rows):
        axes.axhline(y, color=LINE, lw=0.5, zorder=0)
        low, high = max(row.low, SHOWN[0]), min(row.high, SHOWN[1])
        if low < high:
            axes.plot([low, high], [y, y], color=SUBJECT, lw=2)
        mark = "<" if row.estimate < SHOWN[0] else ">" if row.estimate > SHOWN[1] else "o"
        x = min(max(row.estimate, SHOWN[0]), SHOWN[1])
        axes.plot(x, y, mark, color=SUBJECT, ms=6, clip_on=False, zorder=4)
    told = [f"{shorten(r.name, 26)}\n{shorten(r.bank, 20)}, its locator keeps {r.kept:.2f}" for r in rows]
    axes.set_yticks(range(len(rows)), told)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(*SHOWN)
    axes.spines.left.set_visible(False)
    axes.tick_params(axis="y", length=0)
    named = {0: "ideal locator of the bank", rows[0].cut: "the rule's cut", 1: "any learner"}
    axes.set_xticks(list(named), [f"{x:g}\n{name}" for x, name in named.items()])


def figure(rows: Sequence[Position]) -> Figure:
    """The whole picture."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(6.5, 0.42 * len(rows) + 0.75), layout="constrained")
    draw(made.subplots(), rows)
    return made
