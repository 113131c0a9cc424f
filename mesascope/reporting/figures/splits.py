"""Draws the gain on every split, beside the gains of the reference procedures on the same tasks."""

from collections.abc import Sequence
from typing import Any

from mesascope.reporting import figures
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.intervals import Gain, can_normalise, compute_gain_shares, compute_label_gains
from mesascope.reporting.words import describe_split, is_counted_split, shorten

MARKERS: dict[str, dict[str, Any]] = {  # by role: how its gains are drawn
    "subject": {"color": figures.SUBJECT_COLOUR, "marker": "o", "ms": 5, "mfc": figures.SUBJECT_COLOUR},
    "learner": {"color": figures.MUTED_COLOUR, "marker": "|", "ms": 9, "mfc": "none"},
    "discounting": {"color": figures.MUTED_COLOUR, "marker": "D", "ms": 4, "mfc": "none"},
    "locator": {"color": figures.THIRD_COLOUR, "marker": "x", "ms": 5, "mfc": "none"},
}


def compute_split_gains(examination: Examination) -> list[Gain]:
    """Computes the gains of the subject and the references on every split on which something can be gained."""
    gains = []
    for split, trials in examination.trials.items():
        if not can_normalise(trials):
            continue
        gains += compute_label_gains(trials, [split], [compute_gain_shares(trials)], "subject", examination.subject)
        for role in [r for r in MARKERS if r in examination.references]:
            reference_trials = examination.references[role].get(split)
            if reference_trials is not None:
                name = str(reference_trials.attrs.get("subject", role))
                gains += compute_label_gains(
                    reference_trials, [split], [compute_gain_shares(reference_trials)], role, name
                )
    return gains


def sort_labels(gains: Sequence[Gain]) -> list[str]:
    """Sorts the splits into the order of the page: first those that a placement uses."""
    return sorted(dict.fromkeys(g.label for g in gains), key=lambda split: not is_counted_split(split))


def draw_panel(axes: Axes, gains: Sequence[Gain], splits: Sequence[str]) -> None:
    """Draws one subject's panel, with one row per split."""
    figures.prepare_rows(axes, len(splits), gains[0].name)
    for role, marker in MARKERS.items():
        role_gains = [g for g in gains if g.role == role]
        y = [splits.index(g.label) for g in role_gains]
        if role == "subject":
            lows, highs = [g.low for g in role_gains], [g.high for g in role_gains]
            axes.hlines(y, lows, highs, color=figures.SUBJECT_COLOUR, lw=1.5, zorder=3)
        axes.plot([g.estimate for g in role_gains], y, ls="none", zorder=4, **marker)


def draw_figure(groups: Sequence[Sequence[Gain]]) -> Figure:
    """Draws a figure with one panel per subject; all panels have the same rows."""
    from matplotlib.lines import Line2D

    gains = [g for group in groups for g in group]
    splits = sort_labels(gains)
    drawing, panels = figures.make_panels(len(groups), 3, 0.19 * len(splits) + 0.5, figures.GAIN_LABEL)
    for axes, group in zip(panels, groups, strict=True):
        draw_panel(axes, group, splits)
    labels = [describe_split(r) if is_counted_split(r) else f"{describe_split(r)} *" for r in splits]
    panels[0].set_yticks(range(len(splits)), labels)
    estimates = [g.estimate for g in gains]
    panels[0].set_xlim(max(min([-0.1, *estimates]) - 0.06, -1.3), min(max([1.0, *estimates]) + 0.06, 1.5))
    names_by_role = {g.role: g.name for g in gains}
    handles = []
    for role, marker in MARKERS.items():
        if role in names_by_role:
            is_subject = role == "subject"
            label = "the subject, with 95 % interval" if is_subject else shorten(names_by_role[role], 30)
            label += " (ideal for the bank)" if role == "locator" else ""
            handles.append(Line2D([], [], **marker, lw=1.5 if is_subject else 0, label=label))
    drawing.legend(handles=handles, loc="outside upper left", ncols=4 if len(groups) > 1 else 2)
    return drawing
