"""Draws where every subject stands on the ladder: the share of resamples per rung, and the rule's interval."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mesascope.questions.spectrum.ladder import FIRST_LADDER, LADDER, RUNGS
from mesascope.reporting.figures import INK, LINE, SECOND, SHARE, SOFT, SUBJECT
from mesascope.reporting.headlines import HEADLINES, pick_headlines
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.words import format_number, shorten

WIDE = 10.5  # in inches
STEP = 1.2  # the distance between columns of numbers, in rungs


class Standing(NamedTuple):
    """One subject on the ladder.

    Attributes:
        name: the subject's name.
        lowest: the index of the lowest rung.
        highest: the index of the highest rung.
        direction: 'for', 'against' or 'none'.
        shares: the share of resamples per rung.
        unclear: the share of resamples in which the bank does not separate locating from learning.
        numbers: the headline numbers as text.
    """

    name: str
    lowest: int
    highest: int
    direction: str
    shares: tuple[float, ...]
    unclear: float
    numbers: tuple[str, ...]


def find_standings(examinations: Sequence[Examination]) -> list[Standing]:
    """The placed subjects, in order."""
    return [
        Standing(
            e.subject,
            RUNGS[e.placement.lowest],
            RUNGS[e.placement.highest],
            e.placement.direction,
            tuple(e.placement.probability.get(rung, 0.0) for rung in FIRST_LADDER),
            e.placement.probability.get("undetermined", 0.0),
            tuple(format_number(f.estimate if f else None) for f in pick_headlines(e).values()),
        )
        for e in examinations
        if e.placement
    ]


def draw(axes: Axes, rows: Sequence[Standing]) -> None:
    """Draws a row per subject, with bars for shares of resamples, the interval below and the numbers beside."""
    is_unclear = any(r.unclear for r in rows)
    rungs = FIRST_LADDER if any(r.highest == RUNGS["general"] for r in rows) else LADDER  # 'general' in older runs only
    columns = len(rungs) + is_unclear
    heads = [*rungs, *(["bank does\nnot tell"] if is_unclear else [])]
    places = [columns + 0.35 + STEP * i for i in range(len(HEADLINES) + 1)]
    heading_style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 7.5}
    for x, head in enumerate(heads):
        axes.text(x, -0.62, head, weight="bold" if x < len(rungs) else "normal", **heading_style)
    for x, head in zip(places, [*(_break_line(h) for h, _, _ in HEADLINES.values()), "direction"], strict=True):
        axes.text(x, -0.62, head, color=SOFT, **heading_style)
    for x in range(columns + 1):
        axes.plot([x - 0.5, x - 0.5], [-0.5, len(rows) - 0.5], color=LINE, lw=0.7)
    for y, row in enumerate(rows):
        axes.plot([-0.5, places[-1] + 0.5], [y + 0.5, y + 0.5], color=LINE, lw=0.7)
        axes.text(-0.62, y, shorten(row.name, 24), ha="right", va="center", color=INK)
        shares = [*row.shares[: len(rungs)], *([row.unclear] if is_unclear else [])]
        for x, share in enumerate(shares):
            if share > 0:
                axes.bar(x, -0.48 * share, bottom=y + 0.22, width=0.8, color=SHARE, lw=0)
                share_text = f"{100 * share:.0f} %" if share >= 0.005 else "<1 %"
                axes.text(x, y + 0.2 - 0.48 * share, share_text, ha="center", va="bottom", fontsize=7, color=INK)
        colour = SECOND if row.direction == "against" else SUBJECT
        ends = [row.lowest - 0.4, row.highest + 0.4]
        axes.plot(ends, [y + 0.33, y + 0.33], color=colour, lw=3, solid_capstyle="butt")
        for x in ends:
            axes.plot([x, x], [y + 0.26, y + 0.40], color=colour, lw=1.5)
        for x, text in zip(places, [*row.numbers, row.direction], strict=True):
            axes.text(x, y, text, ha="center", va="center", color=colour if text == "against" else INK)
    axes.set_xlim(-0.6, places[-1] + 0.55)
    axes.set_ylim(len(rows) - 0.45, -0.62)
    axes.axis("off")


def _break_line(head: str) -> str:
    """Breaks a heading into two lines."""
    words = head.split()
    return " ".join(words[: len(words) // 2]) + "\n" + " ".join(words[len(words) // 2 :])


def figure(rows: Sequence[Standing]) -> Figure:
    """The whole figure."""
    from matplotlib.figure import Figure

    height = 0.55 * len(rows) + 0.45
    drawing = Figure(figsize=(WIDE, height))
    axes = drawing.add_axes((0.165, 0.01, 0.83, 1 - 0.42 / height))
    draw(axes, rows)
    return drawing
