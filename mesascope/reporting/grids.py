"""Computes the numbers behind the figures of splits and conditions, as rows and columns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mesascope.reporting.figures import conditions, splits
from mesascope.reporting.hints import Examination
from mesascope.reporting.intervals import Gain
from mesascope.reporting.words import describe_condition, describe_split, format_interval, format_number

Cell = tuple[str, str]  # an estimate and its interval


class Grid(NamedTuple):
    """One number per row and column, with its interval.

    Attributes:
        columns: the splits or conditions, in words.
        rows: for each subject or reference, its name, and its cells in the order of the columns; a cell is an estimate
            and its interval, both as text.
        units: what the intervals resample, with its number, such as '512 lifetimes'.
    """

    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    units: str


def make_split_grid(examinations: Sequence[Examination]) -> Grid | None:
    """Tabulates the gain on every split, in rows of subjects and then of references; None if there are no gains."""
    return _make_grid(examinations, splits.compute_split_gains, splits.sort_labels, describe_split)


def make_condition_grid(examinations: Sequence[Examination]) -> Grid | None:
    """Tabulates the gain on fresh tasks under every condition; returns None if there are no gains."""
    return _make_grid(examinations, conditions.compute_condition_gains, conditions.sort_labels, describe_condition)


def _make_grid(
    examinations: Sequence[Examination],
    compute_gains: Callable[[Examination], list[Gain]],
    sort_labels: Callable[[Sequence[Gain]], list[str]],
    describe_label: Callable[[str], str],
) -> Grid | None:
    """Arranges gains in one row per procedure and one column per label; returns None if there are no gains."""
    gains = [compute_gains(e) for e in examinations]
    labels = sort_labels([g for group in gains for g in group])
    if not labels:
        return None
    rows: list[tuple[str, dict[str, Cell]]] = []  # the references are added last
    reference_cells: dict[str, list[dict[str, Cell]]] = {}
    for group in gains:
        cells_by_procedure: dict[tuple[str, str], dict[str, Cell]] = {}
        for g in group:
            cell = format_number(g.estimate), format_interval(g.low, g.high)
            cells_by_procedure.setdefault((g.role, g.name), {})[g.label] = cell
        for (role, name), cells in cells_by_procedure.items():
            if role == "subject":
                rows.append((name, cells))
            elif cells not in reference_cells.setdefault(name, []):
                reference_cells[name].append(cells)  # the locators of two banks have separate rows
    for name, variants in reference_cells.items():
        for i, cells in enumerate(variants, 1):
            rows.append((f"{name}, reference" + (f" ({i})" if len(variants) > 1 else ""), cells))
    trials = [next(iter(e.trials.values())) for e in examinations]
    units = dict.fromkeys(f"{d.sizes['lifetime']} {d.attrs.get('unit', 'lifetime')}s" for d in trials)
    cells_in_order = [(name, [by_label.get(label, ("–", "")) for label in labels]) for name, by_label in rows]
    return Grid([describe_label(label) for label in labels], cells_in_order, ", ".join(units))
