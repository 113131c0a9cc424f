"""Draws the differences between two subjects, with their intervals and the margin of equivalence."""

from collections.abc import Sequence

from mesascope.reporting import figures
from mesascope.reporting.hints import Difference, Figure


def draw_figure(differences: Sequence[Difference], margin: float, first: str, second: str) -> Figure:
    """Draws one row per difference: the estimate, its interval, the line of no difference, and the margin as a band.

    Args:
        differences: the differences, from top to bottom.
        margin: the margin of equivalence.
        first: the name of the subject from whose numbers the second subject's numbers are subtracted.
        second: the name of the second subject.
    """
    from matplotlib.figure import Figure

    with figures.apply_style():
        drawing = Figure(figsize=(7.0, 0.9 + 0.32 * len(differences)), layout="constrained")
        axes = drawing.add_subplot()
        axes.axvspan(-margin, margin, color=figures.GRID_COLOUR, lw=0)
        axes.axvline(0, color=figures.MUTED_COLOUR, lw=0.8)
        for y, row in enumerate(differences):
            axes.plot([row.low, row.high], [y, y], color=figures.SUBJECT_COLOUR, lw=1.5)
            axes.plot(row.difference, y, "o", color=figures.SUBJECT_COLOUR, ms=4)
        axes.set_yticks(range(len(differences)), [row.metric for row in differences])
        axes.set_ylim(len(differences) - 0.5, -0.5)
        axes.set_xlabel(f"{first} minus {second} (95 % interval; band: ±{margin:g})")
    return drawing
