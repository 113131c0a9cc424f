"""Draws the pay-off over the trials of a lifetime, beside chance, reference procedures and the best action."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from mesascope.reporting import figures
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.intervals import can_normalise, compute_gain_shares, compute_mean_intervals
from mesascope.reporting.words import shorten
from mesascope.stats import Interval, average_valid
from mesascope.trials import read_payoffs

MAX_BINS = 25  # the largest number of bins in a lifetime
REFERENCE_ROLES = ("learner", "strongest")  # the references that the figure shows


class Curve(NamedTuple):
    """Mean pay-off in bins of trials.

    Attributes:
        role: 'subject', 'seen' (the subject on its training tasks), or a reference's role.
        name: the procedure's name.
        bin_centres: [B] the middle of each bin, from 1.
        means: [B] the mean in each bin, with its interval, which is NaN if there are too few units.
        is_normalised: whether 0 is chance and 1 the best action; otherwise values are realised or expected pay-offs.
    """

    role: str
    name: str
    bin_centres: np.ndarray
    means: Interval
    is_normalised: bool


def collect_curves(examination: Examination) -> list[Curve]:
    """Collects the subject's curves on fresh tasks (or in the log) and on seen tasks, and the references' curves."""
    trials = examination.trials
    split = next((r for r in ("fresh", "logged") if r in trials), next(iter(trials)))
    curves = [compute_curve(trials[split], "subject", examination.subject)]
    if split == "fresh" and "seen" in trials and examination.trained_on.startswith("bank"):
        curves.append(compute_curve(trials["seen"], "seen", f"{examination.subject} on its training tasks"))
    for role in REFERENCE_ROLES:
        reference_trials = examination.references.get(role, {}).get(split)
        if reference_trials is not None:
            curves.append(compute_curve(reference_trials, role, str(reference_trials.attrs.get("subject", role))))
    return curves


def compute_curve(trials: xr.Dataset, role: str, name: str) -> Curve:
    """Computes one curve, which is a ratio of sums over lifetimes if chance and best are known."""
    length = trials.sizes["trial"]
    width = -(-length // MAX_BINS)
    windows = [slice(start, min(start + width, length)) for start in range(0, length, width)]
    is_normalised = can_normalise(trials)
    rows = [
        compute_gain_shares(trials, window=w) if is_normalised else average_valid(read_payoffs(trials)[:, w])
        for w in windows
    ]
    trial = np.array([(w.start + 1 + w.stop) / 2 for w in windows])
    return Curve(role, name, trial, compute_mean_intervals(trials, np.stack(rows)), is_normalised)


LINE_STYLES = {  # by role: colour, line, width, and label in the key
    "subject": (figures.SUBJECT_COLOUR, "-", 1.8, "the subject on fresh tasks, 95 % intervals"),
    "seen": (figures.SECOND_COLOUR, (0, (4, 1.5)), 1.4, "the subject on its training tasks"),
    "learner": (figures.MUTED_COLOUR, "-", 0.9, None),
    "strongest": (figures.THIRD_COLOUR, (0, (1, 1)), 1.4, None),
}


def draw_panel(axes: Axes, curves: Sequence[Curve]) -> None:
    """Draws one subject's panel."""
    for curve in curves:
        colour, line, width, _ = LINE_STYLES[curve.role]
        if curve.role in ("subject", "seen"):
            axes.fill_between(curve.bin_centres, curve.means.low, curve.means.high, color=colour, alpha=0.2, lw=0)
        axes.plot(curve.bin_centres, curve.means.estimate, color=colour, ls=line, lw=width, zorder=2 + width)
    if curves[0].is_normalised:
        axes.axhline(0, color=figures.TEXT_COLOUR, lw=0.7, ls=(0, (2, 2)), zorder=1)
        axes.axhline(1, color=figures.TEXT_COLOUR, lw=0.7, zorder=1)
    axes.set_title(shorten(curves[0].name, 34))


def draw_figure(groups: Sequence[Sequence[Curve]]) -> Figure:
    """Draws a figure with one panel per subject; either all curves are normalised, or none is."""
    from matplotlib.lines import Line2D

    is_normalised = groups[0][0].is_normalised
    y = figures.GAIN_LABEL.replace(" (", "\n(") if is_normalised else "realised pay-off"
    drawing, panels = figures.make_panels(len(groups), 3, 2.0 if len(groups) > 1 else 3.0, "trial of the lifetime", y)
    for axes, curves in zip(panels, groups, strict=True):
        draw_panel(axes, curves)
    names = {c.role: c.name for curves in groups for c in curves}
    handles = []
    for role, (colour, line, width, description) in LINE_STYLES.items():
        if role in names:
            best = " (best known)" if role == "strongest" else ""
            label = description or f"{shorten(names[role], 24)}{best}"
            label = label if is_normalised else "mean, with 95 % intervals"
            handles.append(Line2D([], [], color=colour, ls=line, lw=width, label=label))
    drawing.legend(handles=handles, loc="outside upper left", ncols=4 if len(groups) > 1 else 2)
    return drawing
