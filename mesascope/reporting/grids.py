"""Computes the numbers behind the pictures of splits and conditions, as rows and columns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mesascope.reporting.figures import conditions, splits
from mesascope.reporting.hints import Examination
from mesascope.reporting.words import describe_condition, describe_split, format_interval, format_number

Cell = tuple[str, str]  # an estimate and its interval


class Grid(NamedTuple):
    """One number per row and column, with its interval.

    Attributes:
        columns: the splits or conditions.
        rows: the name of each row, and its cells in the order of the columns.
        units: the n and the unit of the numbers, as text.
    """

    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    units: str


def make_split_grid(examinations: Sequence[Examination]) -> Grid | None:
    """The gain on every split, first of the subjects and then of the references."""
    gains = [g for e in examinations for g in splits.gains(e)]
    rows: list[tuple[str, dict[str, Cell]]] = []  # the references are added last
    reference_cells: dict[str, list[dict[str, Cell]]] = {}
    for e in examinations:
        by_procedure: dict[tuple[str, str], dict[str, Cell]] = {}
        for g in splits.gains(e):
            by_procedure.setdefault((g.role, g.name), {})[g.split] = _make_cell(g)
        for (role, name), cells in by_procedure.items():
            if role == "subject":
                rows.append((name, cells))
            elif cells not in reference_cells.setdefault(name, []):
                reference_cells[name].append(cells)  # the locators of two banks have separate rows
    for name, variants in reference_cells.items():
        for i, cells in enumerate(variants, 1):
            rows.append((f"{name}, reference" + (f" ({i})" if len(variants) > 1 else ""), cells))
    return _arrange(rows, splits.order(gains), describe_split, examinations)


def make_condition_grid(examinations: Sequence[Examination]) -> Grid | None:
    """The gain on fresh tasks under every condition."""
    gains = [(e.subject, conditions.find_disturbed(e)) for e in examinations]
    cells = [(name, {d.condition: _make_cell(d) for d in rows}) for name, rows in gains if rows]
    return _arrange(cells, conditions.order([d for _, rows in gains for d in rows]), describe_condition, examinations)


def _make_cell(one: splits.Gain | conditions.Disturbed) -> Cell:
    return format_number(one.estimate), format_interval(one.low, one.high)


def _arrange(
    rows: Sequence[tuple[str, dict[str, Cell]]],
    labels: Sequence[str],
    describe: Callable[[str], str],
    examinations: Sequence[Examination],
) -> Grid | None:
    """Arranges rows of cells under the labels; returns None without rows or labels."""
    if not rows or not labels:
        return None
    trials = [next(iter(e.trials.values())) for e in examinations]
    units = dict.fromkeys(f"{d.sizes['lifetime']} {d.attrs.get('unit', 'lifetime')}s" for d in trials)
    cells = [(name, [by_label.get(label, ("–", "")) for label in labels]) for name, by_label in rows]
    return Grid([describe(label) for label in labels], cells, ", ".join(units))
