"""Draws the gain in lifetimes in which the subject knows only its last w trials, for several w."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mesascope.questions.spectrum.carried import measure_gain_by_memory
from mesascope.reporting.figures import SUBJECT_COLOUR, TEXT_COLOUR, make_panels
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.intervals import can_normalise, compute_mean_intervals
from mesascope.reporting.words import shorten
from mesascope.stats import Interval


class Span(NamedTuple):
    """The gain for every w, and the undisturbed gain.

    Attributes:
        name: the subject's name.
        windows: the W values of w, the number of last trials that the subject knows.
        gains: [W + 1] the gains with their intervals; the last one is undisturbed.
    """

    name: str
    windows: tuple[int, ...]
    gains: Interval


def compute_span(examination: Examination) -> Span | None:
    """Computes the gains on fresh tasks; returns None if the conditions of the memory span did not run."""
    trials = examination.trials.get("fresh")
    if trials is None or not can_normalise(trials):
        return None
    curve = measure_gain_by_memory(trials)
    intact = curve.pop(0)
    if not curve:
        return None
    windows = tuple(sorted(curve))
    return Span(
        examination.subject, windows, compute_mean_intervals(trials, np.stack([*(curve[w] for w in windows), intact]))
    )


def draw_panel(axes: Axes, span: Span, windows: Sequence[int]) -> None:
    """Draws one subject's panel, with evenly spaced w on the x axis and the undisturbed gain at its end."""
    x, y = np.array([*(windows.index(w) for w in span.windows), len(windows)]), span.gains.estimate
    axes.axhline(0, color=TEXT_COLOUR, lw=0.7, ls=(0, (2, 2)), zorder=1)
    axes.plot(x[:-1], y[:-1], color=SUBJECT_COLOUR, lw=1.2)
    axes.plot(x[-2:], y[-2:], color=SUBJECT_COLOUR, lw=1.0, ls=(0, (1, 2)))
    axes.vlines(x, span.gains.low, span.gains.high, color=SUBJECT_COLOUR, lw=1.8)
    axes.plot(x[:-1], y[:-1], "o", color=SUBJECT_COLOUR, ms=3.5)
    axes.plot(x[-1:], y[-1:], "s", color=SUBJECT_COLOUR, ms=4)
    axes.set_title(shorten(span.name, 26))


def draw_figure(spans: Sequence[Span]) -> Figure:
    """Draws a figure with one panel per subject."""
    windows = sorted({w for span in spans for w in span.windows})
    x = "number of last trials that the subject knows (all: undisturbed)"
    drawing, panels = make_panels(len(spans), 4, 1.6 if len(spans) > 1 else 2.6, x, "share of what could be gained")
    for axes, span in zip(panels, spans, strict=True):
        draw_panel(axes, span, windows)
    panels[0].set_xticks(range(len(windows) + 1), [*(str(w) for w in windows), "all"])
    lowest = min(float(np.nanmin(span.gains.estimate)) for span in spans)
    panels[0].set_ylim(min(-0.12, lowest - 0.1), 1.02)
    return drawing
