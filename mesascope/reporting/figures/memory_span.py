"""Draws the gain of a life that knows only its last w trials, for several w."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mesascope.questions.spectrum.carried import life_curve
from mesascope.reporting.figures import INK, SUBJECT, make_panels
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.intervals import can_normalise, means
from mesascope.reporting.words import shorten


class Span(NamedTuple):
    """The gain for every w, and the undisturbed gain.

    Attributes:
        name: the subject's name.
        older: [W] the values of w.
        estimate: [W + 1] the gains; the last one is undisturbed.
        low: [W + 1] the lower ends of the intervals.
        high: [W + 1] the upper ends.
    """

    name: str
    older: tuple[int, ...]
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def find_span(examination: Examination) -> Span | None:
    """The memory span on fresh tasks; None if these conditions did not run."""
    trials = examination.trials.get("fresh")
    if trials is None or not can_normalise(trials):
        return None
    curve = life_curve(trials)
    intact = curve.pop(0)
    if not curve:
        return None
    older = tuple(sorted(curve))
    intervals = means(trials, np.stack([*(curve[w] for w in older), intact]))
    return Span(examination.subject, older, intervals.estimate, intervals.low, intervals.high)


def draw(axes: Axes, one: Span, steps: Sequence[int]) -> None:
    """Draws one subject's panel, with evenly spaced w on the x axis and the undisturbed gain at its end."""
    x = np.array([*(steps.index(w) for w in one.older), len(steps)])
    axes.axhline(0, color=INK, lw=0.7, ls=(0, (2, 2)), zorder=1)
    axes.plot(x[:-1], one.estimate[:-1], color=SUBJECT, lw=1.2)
    axes.plot(x[-2:], one.estimate[-2:], color=SUBJECT, lw=1.0, ls=(0, (1, 2)))
    axes.vlines(x, one.low, one.high, color=SUBJECT, lw=1.8)
    axes.plot(x[:-1], one.estimate[:-1], "o", color=SUBJECT, ms=3.5)
    axes.plot(x[-1:], one.estimate[-1:], "s", color=SUBJECT, ms=4)
    axes.set_title(shorten(one.name, 26))


def figure(group: Sequence[Span]) -> Figure:
    """A figure with one panel per subject."""
    steps = sorted({w for one in group for w in one.older})
    x = "last trials that it knows (all: undisturbed)"
    drawing, axes = make_panels(len(group), 4, 1.6 if len(group) > 1 else 2.6, x, "share of what could be gained")
    for a, one in zip(axes, group, strict=True):
        draw(a, one, steps)
    axes[0].set_xticks(range(len(steps) + 1), [*(str(w) for w in steps), "all"])
    lowest = min(float(np.nanmin(one.estimate)) for one in group)
    axes[0].set_ylim(min(-0.12, lowest - 0.1), 1.02)
    return drawing
