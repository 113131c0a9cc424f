"""Draws where every subject stands on the ladder: the share of resamples per rung, and the rule's interval."""

from collections.abc import Sequence
from typing import Any

from mesascope.questions.spectrum.ladder import LADDER, LEVEL_NUMBERS, OLDER_LADDER
from mesascope.questions.spectrum.placement import Placement
from mesascope.reporting import figures
from mesascope.reporting.headlines import HEADLINES, pick_headlines
from mesascope.reporting.hints import Examination, Figure
from mesascope.reporting.words import format_number, shorten

FIGURE_WIDTH = 10.5  # in inches
COLUMN_DISTANCE = 1.2  # between columns of numbers, in rungs


def find_placed_subjects(examinations: Sequence[Examination]) -> list[tuple[Examination, Placement]]:
    """Finds the placed subjects with their placements, in order."""
    return [(e, e.placement) for e in examinations if e.placement]


def draw_figure(rows: Sequence[tuple[Examination, Placement]]) -> Figure:
    """Draws a row per subject: bars for shares of resamples, the interval below them, and the numbers."""
    from matplotlib.figure import Figure

    height = 0.55 * len(rows) + 0.45
    drawing = Figure(figsize=(FIGURE_WIDTH, height))
    axes = drawing.add_axes((0.165, 0.01, 0.83, 1 - 0.42 / height))
    has_unclear = any(p.probability.get("undetermined") for _, p in rows)  # the bank cannot separate the rungs
    # only runs of earlier versions contain the rung 'general'
    rungs = OLDER_LADDER if any(LEVEL_NUMBERS[p.highest] == LEVEL_NUMBERS["general"] for _, p in rows) else LADDER
    columns = {rung: rung for rung in rungs} | ({"undetermined": "bank cannot\nseparate"} if has_unclear else {})
    positions = [len(columns) + 0.35 + COLUMN_DISTANCE * i for i in range(len(HEADLINES) + 1)]
    heading_style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 7.5}
    for x, (rung, heading) in enumerate(columns.items()):
        axes.text(x, -0.62, heading, weight="bold" if rung in rungs else "normal", **heading_style)
    for x, heading in zip(positions, [*(_break_line(h) for h, _, _ in HEADLINES.values()), "direction"], strict=True):
        axes.text(x, -0.62, heading, color=figures.MUTED_COLOUR, **heading_style)
    for x in range(len(columns) + 1):
        axes.plot([x - 0.5, x - 0.5], [-0.5, len(rows) - 0.5], color=figures.GRID_COLOUR, lw=0.7)
    for y, (examination, placement) in enumerate(rows):
        axes.plot([-0.5, positions[-1] + 0.5], [y + 0.5, y + 0.5], color=figures.GRID_COLOUR, lw=0.7)
        axes.text(-0.62, y, shorten(examination.subject, 24), ha="right", va="center", color=figures.TEXT_COLOUR)
        for x, rung in enumerate(columns):
            share = placement.probability.get(rung, 0.0)
            if share > 0:
                axes.bar(x, -0.48 * share, bottom=y + 0.22, width=0.8, color=figures.SHARE_COLOUR, lw=0)
                share_text = f"{100 * share:.0f} %" if share >= 0.005 else "<1 %"
                share_style = heading_style | {"fontsize": 7, "color": figures.TEXT_COLOUR}
                axes.text(x, y + 0.2 - 0.48 * share, share_text, **share_style)
        colour = figures.SECOND_COLOUR if placement.direction == "against" else figures.SUBJECT_COLOUR
        ends = [LEVEL_NUMBERS[placement.lowest] - 0.4, LEVEL_NUMBERS[placement.highest] + 0.4]
        axes.plot(ends, [y + 0.33, y + 0.33], color=colour, lw=3, solid_capstyle="butt")
        for x in ends:
            axes.plot([x, x], [y + 0.26, y + 0.40], color=colour, lw=1.5)
        numbers = [format_number(f.estimate if f else None) for f in pick_headlines(examination).values()]
        for x, text in zip(positions, [*numbers, placement.direction], strict=True):
            axes.text(x, y, text, ha="center", va="center", color=colour if text == "against" else figures.TEXT_COLOUR)
    axes.set_xlim(-0.6, positions[-1] + 0.55)
    axes.set_ylim(len(rows) - 0.45, -0.62)
    axes.axis("off")
    return drawing


def _break_line(heading: str) -> str:
    """Breaks a heading into two lines."""
    words = heading.split()
    return " ".join(words[: len(words) // 2]) + "\n" + " ".join(words[len(words) // 2 :])
