"""Draws a study's figure from its document, with one panel for each entry [[panels]] of the plan."""

import itertools
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mesascope.files import PROCESS_NAME, replace_when_written
from mesascope.questions.spectrum.ladder import OLDER_LADDER
from mesascope.reporting import figures
from mesascope.reproduction.plans import PANEL_KINDS, Study

MAIN_COLOURS = (figures.SUBJECT_COLOUR, figures.SECOND_COLOUR, figures.THIRD_COLOUR)
COLOURS = (*MAIN_COLOURS, "#cc79a7", "#56b4e9", "#b58900", figures.MUTED_COLOUR, figures.TEXT_COLOUR)
MARKERS = "osD^vPX*"
Results = Mapping[tuple[str, str], Mapping[str, Any]]


def draw_figure(study: Study, document: Mapping[str, Any], path: Path) -> Path | None:
    """Writes the figure and returns its path; returns None if the plan has no panels.

    Args:
        study: the study, whose plan describes the panels and the subjects.
        document: the study's results, as `make_document` returns them.
        path: the .png file to write; the same document gives the same bytes.
    """
    if not study.panels:
        return None
    with figures.apply_style():
        from matplotlib.figure import Figure

        count = len(study.panels)
        columns = min(count, 3)
        rows = -(-count // columns)
        figure = Figure(figsize=(4.3 * columns, 3.4 * rows + 0.5), layout="constrained", facecolor="white")
        results = {(v["quantity"], v["subject"]): v for v in document["values"]}
        coordinates = {cell.name: cell.placeholder_values for cell in study.subjects}
        for i, panel in enumerate(study.panels):
            ax = figure.add_subplot(rows, columns, i + 1)
            DRAWERS[panel["draw"]](ax, panel, results, coordinates)
            ax.set_title(textwrap.fill(panel["title"], _compute_title_width(ax)))
        if document["quick"]:
            warning = "QUICK: one seed and short training runs, which are not evidence"
            figure.suptitle(warning, color=figures.SECOND_COLOUR)
        with replace_when_written(path, PROCESS_NAME) as part:
            figure.savefig(part, format="png", dpi=140, metadata={"Software": None}, facecolor="white")
    return path


def _compute_title_width(ax) -> int:
    """Computes how many characters fit on a line of a panel's title; labels on the left leave less room."""
    return max(16, 40 - max((len(t.get_text()) * 3 // 5 for t in ax.get_yticklabels()), default=0))


def _list_points(group, panel, coordinates) -> list[tuple[str, str, str]]:
    """Lists the subjects of a line in their order, each with its value on the x axis and the label of the value."""
    labels = panel["display_names"].get(group["axis"], {})
    values = [str(coordinates[name].get(group["axis"], name)) for name in group["names"]]
    return [(name, value, labels.get(value, value)) for name, value in zip(group["names"], values, strict=True)]


def _list_x_labels(panel, coordinates) -> dict[str, str]:
    """Lists the values on the x axis with their labels, in the order of the longest line."""
    labels: dict[str, str] = {}
    for group in [*sorted(panel["groups"], key=lambda g: -len(g["names"])), *panel["groups"]]:
        labels |= {value: label for _, value, label in _list_points(group, panel, coordinates)}
    return labels


def _draw_x_labels(ax, panel, labels) -> None:
    """Labels the x axis and adds horizontal grid lines."""
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlabel(panel["x"])
    ax.grid(axis="y", color=figures.GRID_COLOUR, linewidth=0.6)
    ax.set_axisbelow(True)


def _list_subjects(panel) -> list[str]:
    """Lists all subjects of a panel."""
    return [name for group in panel["groups"] for name in group["names"]]


def _choose_line_style(i: int) -> dict[str, str]:
    """Chooses the colour and the marker of a panel's line number i."""
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}


def _find_results(results: Results, keys) -> tuple[list[float], list[Mapping[str, Any]]]:
    """Finds the summaries of pairs (x, (quantity, subject)); returns the x and the summaries that have numbers."""
    pairs = [(x, results.get(key)) for x, key in keys]
    pairs = [(x, summary) for x, summary in pairs if summary and summary["ours"] is not None]
    return [x for x, _ in pairs], [summary for _, summary in pairs]


def _list_seed_values(summary) -> list[float]:
    """Lists the numbers of a summary in the order of the seeds; missing numbers are left out."""
    return [number for number in summary["by_seed"] if number is not None]


def _draw_lines(ax, panel, results: Results, coordinates) -> None:
    """Draws means as lines with intervals over seeds, and every seed as a dot."""
    labels = _list_x_labels(panel, coordinates)
    positions = {value: i for i, value in enumerate(labels)}
    several_groups, several_quantities = len(panel["groups"]) > 1, len(panel["quantities"]) > 1
    for i, (group, quantity) in enumerate(itertools.product(panel["groups"], panel["quantities"])):
        points = _list_points(group, panel, coordinates)
        keys = ((positions[value] + 0.06 * (i - 1), (quantity, name)) for name, value, _ in points)
        xs, summaries = _find_results(results, keys)
        label = [group["label"]] * several_groups + [quantity] * (several_quantities or not several_groups)
        style = _choose_line_style(i)
        means = [summary["ours"] for summary in summaries]
        ax.plot(xs, means, **style, markersize=5, linewidth=1.4, label=", ".join(label))
        for x, summary in zip(xs, summaries, strict=True):
            if summary["low"] is not None and not summary["rate"]:
                ax.plot([x] * 2, [summary["low"], summary["high"]], color=style["color"], linewidth=0.9, alpha=0.6)
            seeds = _list_seed_values(summary)
            ax.plot([x] * len(seeds), seeds, ".", color=style["color"], markersize=3, alpha=0.6)
    all_summaries = (results.get((q, n)) for n in _list_subjects(panel) for q in panel["quantities"])
    values = [number for summary in all_summaries if summary for number in _list_seed_values(summary)]
    if values:
        margin = 0.15 * (max(values) - min(values) or 1.0)
        ax.set_ylim(min(values) - margin, max(values) + margin)  # so that wide intervals do not shrink the rest
    _draw_x_labels(ax, panel, list(labels.values()))
    ax.legend(loc="best")


def _draw_curves(ax, panel, results: Results, coordinates) -> None:
    """Draws one line per subject, with one point per quantity, and a thin line per seed."""
    for i, name in enumerate(_list_subjects(panel)):
        xs, summaries = _find_results(results, ((x, (q, name)) for x, q in enumerate(panel["quantities"])))
        style = _choose_line_style(i)
        ax.plot(xs, [t["ours"] for t in summaries], **style, markersize=4, linewidth=1.4, label=name)
        for seed in zip(*(t["by_seed"] for t in summaries), strict=False):
            values = [float("nan") if s is None else s for s in seed]
            ax.plot(xs, values, color=style["color"], alpha=0.3)
    _draw_x_labels(ax, panel, panel["along"])
    ax.legend(loc="best")


def _draw_rungs(ax, panel, results: Results, coordinates) -> None:
    """Draws the interval of rungs of every seed: a dot if both ends are the same rung, otherwise a bar."""
    labels = _list_x_labels(panel, coordinates)
    positions = {value: i for i, value in enumerate(labels)}
    low_quantity, high_quantity = panel["quantities"]
    for i, group in enumerate(panel["groups"]):
        style = _choose_line_style(i)
        for name, value, _ in _list_points(group, panel, coordinates):
            low, high = results.get((low_quantity, name)), results.get((high_quantity, name))
            if not low or not high:
                continue
            for seed, ends in enumerate(zip(low["by_seed"], high["by_seed"], strict=True)):
                if None in ends:
                    continue
                x = positions[value] + 0.26 * (i - (len(panel["groups"]) - 1) / 2) + 0.06 * (seed - 1)
                ax.plot([x, x], ends, color=style["color"], linewidth=2.2, alpha=0.75)
                ax.plot([x], ends[:1], style["marker"], color=style["color"], markersize=3.5)
        ax.plot([], [], **style, linewidth=2.2, label=group["label"])
    ax.set_yticks(range(len(OLDER_LADDER)), OLDER_LADDER)
    ax.set_ylim(-0.4, len(OLDER_LADDER) - 0.4)
    _draw_x_labels(ax, panel, list(labels.values()))
    ax.legend(loc="lower right")


def _draw_bars(ax, panel, results: Results, coordinates) -> None:
    """Draws one bar per subject, with its interval."""
    names = _list_subjects(panel)
    height = 0.8 / len(panel["quantities"])
    for i, quantity in enumerate(panel["quantities"]):
        colour = COLOURS[i % len(COLOURS)]
        ys, summaries = _find_results(results, ((j + i * height, (quantity, name)) for j, name in enumerate(names)))
        for y, summary in zip(ys, summaries, strict=True):
            ax.barh(y, summary["ours"], height=height * 0.9, color=colour, alpha=0.55)
            if summary["low"] is not None:
                ax.plot([summary["low"], summary["high"]], [y, y], color=figures.TEXT_COLOUR, linewidth=0.9)
            seeds = _list_seed_values(summary)
            ax.plot(seeds, [y] * len(seeds), ".", color=figures.TEXT_COLOUR, markersize=3)
    if len(panel["quantities"]) > 1:
        from matplotlib.patches import Patch

        patches = [Patch(color=c, alpha=0.55, label=q) for c, q in zip(itertools.cycle(COLOURS), panel["quantities"])]
        ax.legend(handles=patches, loc="upper right", bbox_to_anchor=(1.0, -0.08))
    ax.set_yticks([j + 0.4 - height / 2 for j in range(len(names))], names)
    ax.invert_yaxis()
    ax.axvline(0, color=figures.MUTED_COLOUR, linewidth=0.7)


def _draw_matrix(ax, panel, results: Results, coordinates) -> None:
    """Draws a table of numbers, with subjects in rows and quantities in columns."""
    names = _list_subjects(panel)
    grid = [[(results.get((q, n)) or {}).get("ours") for q in panel["quantities"]] for n in names]
    ax.imshow(np.asarray(grid, float), cmap="Blues", aspect="auto", alpha=0.7)  # NaN for None
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            if value is not None:
                ax.text(x, y, f"{value:.2f}", ha="center", va="center", color=figures.TEXT_COLOUR)
    ax.set_xticks(range(len(panel["quantities"])), panel["quantities"], rotation=30, ha="right")
    ax.set_yticks(range(len(names)), names)


DRAWERS = dict(zip(PANEL_KINDS, (_draw_lines, _draw_curves, _draw_rungs, _draw_bars, _draw_matrix), strict=True))
