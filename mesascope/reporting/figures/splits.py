"""Draws the gain on every split, beside the gains of the reference procedures on the same tasks."""

from collections.abc import Sequence
from typing import NamedTuple

from mesascope.reporting.figures import GAINED, SOFT, SUBJECT, THIRD, label_rows, make_panels
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.intervals import can_normalise, means, share
from mesascope.reporting.words import describe_split, is_counted, shorten

ROLES = ("learner", "discounting", "locator")
MARKS = {  # by role: colour, mark, size
    "subject": (SUBJECT, "o", 5),
    "learner": (SOFT, "|", 9),
    "discounting": (SOFT, "D", 4),
    "locator": (THIRD, "x", 5),
}


class Gain(NamedTuple):
    """The share of the possible gain that one procedure gained on one split."""

    split: str
    role: str
    name: str
    estimate: float
    low: float
    high: float


def gains(examination: Examination) -> list[Gain]:
    """The gains of the subject and the references on every split on which something can be gained."""
    rows = []
    for name, trials in examination.trials.items():
        if not can_normalise(trials):
            continue
        references = {r: examination.references.get(r, {}).get(name) for r in ROLES}
        for role, procedure_trials in {"subject": trials, **references}.items():
            if procedure_trials is None:
                continue
            intervals = means(procedure_trials, share(procedure_trials)[None])
            label = examination.subject if role == "subject" else str(procedure_trials.attrs.get("subject", role))
            rows.append(Gain(name, role, label, *(float(v[0]) for v in intervals[:3])))
    return rows


def order(gains: Sequence[Gain]) -> list[str]:
    """The splits; those that a placement can read come first."""
    names = list(dict.fromkeys(g.split for g in gains))
    return sorted(names, key=lambda n: not is_counted(n))


def draw(axes: Axes, gains: Sequence[Gain], splits: Sequence[str], title: str) -> None:
    """Draws one subject's panel, with one row per split."""
    label_rows(axes, len(splits), title)
    for role, (colour, mark, size) in MARKS.items():
        role_gains = [g for g in gains if g.role == role]
        y = [splits.index(g.split) for g in role_gains]
        filled = colour if mark == "o" else "none"
        if role == "subject":
            axes.hlines(y, [g.low for g in role_gains], [g.high for g in role_gains], color=colour, lw=1.5, zorder=3)
        axes.plot([g.estimate for g in role_gains], y, mark, color=colour, ms=size, mfc=filled, zorder=4)


def figure(groups: Sequence[Sequence[Gain]], names: Sequence[str]) -> Figure:
    """A figure with one panel per subject; all panels have the same rows."""
    from matplotlib.lines import Line2D

    splits = order([g for gains in groups for g in gains])
    drawing, axes = make_panels(len(groups), 3, 0.19 * len(splits) + 0.5, GAINED)
    for one, gains, name in zip(axes, groups, names, strict=True):
        draw(one, gains, splits, name)
    labels = [describe_split(r) if is_counted(r) else f"{describe_split(r)} *" for r in splits]
    axes[0].set_yticks(range(len(splits)), labels)
    estimates = [g.estimate for gains in groups for g in gains]
    axes[0].set_xlim(max(min([-0.1, *estimates]) - 0.06, -1.3), min(max([1.0, *estimates]) + 0.06, 1.5))
    names_by_role = {g.role: g.name for gains in groups for g in gains}
    handles = []
    for role, (colour, mark, size) in MARKS.items():
        if role in names_by_role:
            is_subject = role == "subject"
            label = "the subject, with 95 % interval" if is_subject else shorten(names_by_role[role], 30)
            label += " (ideal for the bank)" if role == "locator" else ""
            look = {"color": colour, "marker": mark, "ms": size, "mfc": colour if mark == "o" else "none"}
            handles.append(Line2D([], [], **look, lw=1.5 if is_subject else 0, label=label))
    drawing.legend(handles=handles, loc="outside upper left", ncols=4 if len(groups) > 1 else 2)
    return drawing
