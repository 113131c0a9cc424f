"""Draws a study's figure from its document, with one panel for each entry [[panels]] of the plan."""

import itertools
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mesascope.files import replacing
from mesascope.questions.spectrum.ladder import FIRST_LADDER
from mesascope.reporting.figures import INK, LINE, SECOND, SOFT, SUBJECT, THIRD, apply_style
from mesascope.reproduction.plans import Study

COLOURS = (SUBJECT, SECOND, THIRD, "#cc79a7", "#56b4e9", "#b58900", SOFT, INK)
MARKS = "osD^vPX*"
Numbers = Mapping[tuple[str, str], Mapping[str, Any]]


def draw(study: Study, document: Mapping[str, Any], path: Path) -> Path | None:
    """Writes the figure and returns its path; returns None if the plan has no panels.

    Args:
        study: the study, which has the panels and the values of their axes.
        document: the study's results, as in results.json.
        path: the .png file to write; the same document gives the same bytes.
    """
    if not study.panels:
        return None
    with apply_style():
        from matplotlib.figure import Figure

        count = len(study.panels)
        columns = min(count, 3)
        rows = -(-count // columns)
        figure = Figure(figsize=(4.3 * columns, 3.4 * rows + 0.5), layout="constrained", facecolor="white")
        numbers = {(v["quantity"], v["subject"]): v for v in document["values"]}
        axes = {cell.name: cell.axes for cell in study.cells}
        for place, panel in enumerate(study.panels):
            ax = figure.add_subplot(rows, columns, place + 1)
            KINDS[panel["draw"]](ax, panel, numbers, axes)
            ax.set_title(textwrap.fill(panel["title"], _fit_title(ax)))
        if document["quick"]:
            figure.suptitle("QUICK: one seed and short training runs, which settle nothing", color=SECOND)
        with replacing(path) as part:
            figure.savefig(part, format="png", dpi=140, metadata={"Software": None}, facecolor="white")
    return path


def _fit_title(ax) -> int:
    """How many characters fit on a line of a panel's title; labels on the left leave less room."""
    return max(16, 40 - max((len(t.get_text()) * 3 // 5 for t in ax.get_yticklabels()), default=0))


def _find_points(group, panel, axes) -> tuple[list[str], list[str], list[str]]:
    """The subjects of a line in order, their values on the x axis, and the labels of these values."""
    order = [str(axes[name].get(group["axis"], name)) for name in group["names"]]
    return group["names"], order, [panel["called"].get(group["axis"], {}).get(o, o) for o in order]


def _place_values(panel, axes) -> dict[str, int]:
    """The position of each value on the x axis; positions are evenly spaced, in the order of the longest line."""
    places: dict[str, int] = {}
    for group in sorted(panel["groups"], key=lambda g: -len(g["names"])):
        for value in _find_points(group, panel, axes)[1]:
            places.setdefault(value, len(places))
    return places


def _set_ticks(ax, panel, axes, places) -> None:
    words = {}
    for group in panel["groups"]:
        _, values, labels = _find_points(group, panel, axes)
        words.update(zip(values, labels, strict=True))
    _label_x(ax, panel, list(places.values()), [words[v] for v in places])


def _label_x(ax, panel, places, words) -> None:
    """Labels the x axis and adds horizontal grid lines."""
    ax.set_xticks(places, words)
    ax.set_xlabel(panel["x"])
    ax.grid(axis="y", color=LINE, linewidth=0.6)
    ax.set_axisbelow(True)


def _names(panel) -> list[str]:
    """All subjects of a panel."""
    return [name for group in panel["groups"] for name in group["names"]]


def _find_numbers(numbers: Numbers, keys) -> tuple[list[float], list[Mapping[str, Any]]]:
    """From pairs (x, (quantity, subject)), every x that has a number, and the summaries of these numbers."""
    found = [(x, numbers.get(key)) for x, key in keys]
    found = [(x, summary) for x, summary in found if summary and summary["ours"] is not None]
    return [x for x, _ in found], [summary for _, summary in found]


def _draw_lines(ax, panel, numbers: Numbers, axes) -> None:
    """Draws means as lines with intervals over seeds, and every seed as a dot."""
    places, style_of = _place_values(panel, axes), 0
    several_quantities = len(panel["quantities"]) > 1
    for group in panel["groups"]:
        for quantity in panel["quantities"]:
            names, values, _ = _find_points(group, panel, axes)
            keys = ((places[v], (quantity, n)) for n, v in zip(names, values, strict=True))
            xs, summaries = _find_numbers(numbers, keys)
            colour, mark = COLOURS[style_of % len(COLOURS)], MARKS[style_of % len(MARKS)]
            words = [group["label"]] if len(panel["groups"]) > 1 else []
            words += [quantity] if several_quantities or not words else []
            xs, line = [x + 0.06 * (style_of - 1) for x in xs], {"color": colour, "marker": mark}
            label = ", ".join(words)
            ax.plot(xs, [t["ours"] for t in summaries], **line, markersize=5, linewidth=1.4, label=label)
            for x, summary in zip(xs, summaries, strict=True):
                if summary["low"] is not None and not summary["rate"]:
                    ax.plot([x] * 2, [summary["low"], summary["high"]], color=colour, linewidth=0.9, alpha=0.6)
                seeds = [s for s in summary["by_seed"] if s is not None]
                ax.plot([x] * len(seeds), seeds, ".", color=colour, markersize=3, alpha=0.6)
            style_of += 1
    all_summaries = (numbers.get((q, n)) for n in _names(panel) for q in panel["quantities"])
    values = [s for summary in all_summaries if summary for s in summary["by_seed"] if s is not None]
    if values:
        margin = 0.15 * (max(values) - min(values) or 1.0)
        ax.set_ylim(min(values) - margin, max(values) + margin)  # so wide intervals do not shrink the rest
    _set_ticks(ax, panel, axes, places)
    ax.legend(loc="best")


def _draw_curves(ax, panel, numbers: Numbers, axes) -> None:
    """Draws one line per subject over the grid values in the quantities' names, and a thin line per seed."""
    for i, name in enumerate(_names(panel)):
        xs, summaries = _find_numbers(numbers, ((x, (q, name)) for x, q in enumerate(panel["quantities"])))
        line = {"color": COLOURS[i % len(COLOURS)], "marker": MARKS[i % len(MARKS)]}
        ax.plot(xs, [t["ours"] for t in summaries], **line, markersize=4, linewidth=1.4, label=name)
        for seed in zip(*(t["by_seed"] for t in summaries), strict=False):
            values = [float("nan") if s is None else s for s in seed]
            ax.plot(xs, values, color=line["color"], alpha=0.3)
    _label_x(ax, panel, range(len(panel["along"])), panel["along"])
    ax.legend(loc="best")


def _draw_rungs(ax, panel, numbers: Numbers, axes) -> None:
    """Draws the interval of rungs of every seed: a dot if both ends are the same rung, otherwise a bar."""
    places = _place_values(panel, axes)
    low, high = panel["quantities"]
    for i, group in enumerate(panel["groups"]):
        names, values, _ = _find_points(group, panel, axes)
        colour = COLOURS[i % len(COLOURS)]
        for name, value in zip(names, values, strict=True):
            ends = [numbers.get((q, name)) for q in (low, high)]
            if not all(ends):
                continue
            for seed, (a, b) in enumerate(zip(*(e["by_seed"] for e in ends if e), strict=True)):
                if a is None or b is None:
                    continue
                x = places[value] + 0.26 * (i - (len(panel["groups"]) - 1) / 2) + 0.06 * (seed - 1)
                ax.plot([x, x], [a, b], color=colour, linewidth=2.2, alpha=0.75)
                ax.plot([x], [a], MARKS[i % len(MARKS)], color=colour, markersize=3.5)
        ax.plot([], [], color=colour, marker=MARKS[i % len(MARKS)], linewidth=2.2, label=group["label"])
    ax.set_yticks(range(len(FIRST_LADDER)), FIRST_LADDER)
    ax.set_ylim(-0.4, len(FIRST_LADDER) - 0.4)
    _set_ticks(ax, panel, axes, places)
    ax.legend(loc="lower right")


def _draw_bars(ax, panel, numbers: Numbers, axes) -> None:
    """Draws one bar per subject, with its interval."""
    names = _names(panel)
    height = 0.8 / len(panel["quantities"])
    for i, quantity in enumerate(panel["quantities"]):
        for j, name in enumerate(names):
            summary = numbers.get((quantity, name))
            if not summary or summary["ours"] is None:
                continue
            y, colour = j + i * height, COLOURS[i % len(COLOURS)]
            ax.barh(y, summary["ours"], height=height * 0.9, color=colour, alpha=0.55)
            if summary["low"] is not None:
                ax.plot([summary["low"], summary["high"]], [y, y], color=INK, linewidth=0.9)
            seeds = [s for s in summary["by_seed"] if s is not None]
            ax.plot(seeds, [y] * len(seeds), ".", color=INK, markersize=3)
    if len(panel["quantities"]) > 1:
        from matplotlib.patches import Patch

        patches = [Patch(color=c, alpha=0.55, label=q) for c, q in zip(itertools.cycle(COLOURS), panel["quantities"])]
        ax.legend(handles=patches, loc="upper right", bbox_to_anchor=(1.0, -0.08))
    ax.set_yticks([j + 0.4 - height / 2 for j in range(len(names))], names)
    ax.invert_yaxis()
    ax.axvline(0, color=SOFT, linewidth=0.7)


def _draw_matrix(ax, panel, numbers: Numbers, axes) -> None:
    """Draws a table of numbers, with subjects in rows and quantities in columns."""
    names = _names(panel)
    grid = [[(numbers.get((q, n)) or {}).get("ours") for q in panel["quantities"]] for n in names]
    values = [[float("nan") if v is None else v for v in line] for line in grid]
    ax.imshow(values, cmap="Blues", aspect="auto", alpha=0.7)
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            if value is not None:
                ax.text(x, y, f"{value:.2f}", ha="center", va="center", color=INK)
    ax.set_xticks(range(len(panel["quantities"])), panel["quantities"], rotation=30, ha="right")
    ax.set_yticks(range(len(names)), names)


KINDS = {"lines": _draw_lines, "curves": _draw_curves, "rungs": _draw_rungs, "bars": _draw_bars, "matrix": _draw_matrix}
