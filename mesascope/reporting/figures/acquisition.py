"""Draws recognition and acquisition over the number of shots in the context, in one figure per way of asking."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mesascope.reporting.figures import SECOND_COLOUR, SUBJECT_COLOUR, TEXT_COLOUR, make_panels
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.words import shorten

METRIC = "recognition_and_acquisition"


class ShotCurves(NamedTuple):
    """Recognition and acquisition over the number of shots, as rows of [shots, estimate, low, high].

    Attributes:
        name: the subject's name.
        elicitation: how the subject was asked: 'log_probs', 'samples' or 'answer'; '' if it was not asked in words.
        recognition: [S, 4] the rows of recognition.
        acquisition: [S, 4] the rows of acquisition.
    """

    name: str
    elicitation: str
    recognition: np.ndarray
    acquisition: np.ndarray


def find_shot_curves(examination: Examination) -> ShotCurves | None:
    """Finds recognition and acquisition of one subject; returns None if they were not measured."""
    rows: dict[str, list[list[float]]] = {"recognition": [], "acquisition": []}
    for f in examination.answers:
        match = re.fullmatch(rf"{METRIC}: (recognition|acquisition), (\d+) shots", f.metric)
        if match and f.status == "measured" and f.low is not None and f.high is not None:
            rows[match[1]].append([int(match[2]), float(f.estimate or 0.0), f.low, f.high])
    if not all(rows.values()):
        return None
    fresh = examination.trials.get("fresh")
    elicited = "" if fresh is None else str(fresh.attrs.get("elicited", ""))
    return ShotCurves(examination.subject, elicited, *(np.asarray(points) for points in rows.values()))


def draw_panel(axes: Axes, curves: ShotCurves) -> None:
    """Draws one subject's panel."""
    axes.axhline(0, color=TEXT_COLOUR, lw=0.7, ls=(0, (2, 2)), zorder=1)
    for name, rows, colour, marker in (
        ("recognised", curves.recognition, SECOND_COLOUR, "s"),
        ("acquired", curves.acquisition, SUBJECT_COLOUR, "o"),
    ):
        axes.vlines(rows[:, 0], rows[:, 2], rows[:, 3], color=colour, lw=1.4, alpha=0.6)
        axes.plot(rows[:, 0], rows[:, 1], marker + "-", color=colour, ms=3.5, lw=1.0, label=name)
    axes.set_title(shorten(curves.name, 26))


def draw_figure(curves_by_subject: Sequence[ShotCurves]) -> Figure:
    """Draws a figure with one panel per subject; all subjects were asked in the same way."""
    y = "accuracy above chance, and what true labels add"
    drawing, panels = make_panels(
        len(curves_by_subject), 3, 1.9 if len(curves_by_subject) > 1 else 2.6, "shots in the context", y
    )
    for axes, curves in zip(panels, curves_by_subject, strict=True):
        draw_panel(axes, curves)
    panels[0].legend(loc="upper left")
    panels[0].set_ylim(-0.6, 0.75)
    return drawing
