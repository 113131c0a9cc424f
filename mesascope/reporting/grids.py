"""The numbers behind the pictures of splits and conditions, as rows and columns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mesascope.reporting.figures import conditions, splits
from mesascope.reporting.hints import Examination
from mesascope.reporting.words import condition, describe_split, format_interval, format_number

Cell = tuple[str, str]  # an estimate and its interval


class Grid(NamedTuple):
    """One number per row and column, with its interval.

    Attributes:
        columns: under what.
        rows: who, and a cell per column.
        units: n and unit of the numbers.
    """

    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    units: str


def split_grid(examinations: Sequence[Examination]) -> Grid | None:
    """The gain on every split, of the subjects and then of the references."""
    gains = [g for e in examinations for g in splits.gains(e)]
    own: list[tuple[str, dict[str, Cell]]] = []  # rows, the references last
    others: dict[str, list[dict[str, Cell]]] = {}
    for e in examinations:
        by: dict[tuple[str, str], dict[str, Cell]] = {}
        for g in splits.gains(e):
            by.setdefault((g.role, g.name), {})[g.split] = _cell(g)
        for (role, name), cells in by.items():
            if role == "subject":
                own.append((name, cells))
            elif cells not in others.setdefault(name, []):
                others[name].append(cells)  # a locator of another bank is another row
    for name, found in others.items():
        for i, cells in enumerate(found, 1):
            own.append((f"{name}, reference" + (f" ({i})" if len(found) > 1 else ""), cells))
    return _grid(own, splits.order(gains), describe_split, examinations)


def condition_grid(examinations: Sequence[Examination]) -> Grid | None:
    """The gain on fresh tasks under every condition."""
    found = [(e.subject, conditions.disturbed(e)) for e in examinations]
    cells = [(name, {d.condition: _cell(d) for d in told}) for name, told in found if told]
    return _grid(cells, conditions.order([d for _, told in found for d in told]), condition, examinations)


def _cell(one: splits.Gain | conditions.Disturbed) -> Cell:
    return format_number(one.estimate), format_interval(one.low, one.high)


def _grid(
    rows: Sequence[tuple[str, dict[str, Cell]]],
    labels: Sequence[str],
    worded: Callable[[str], str],
    examinations: Sequence[Examination],
) -> Grid | None:
    """Rows of cells under the labels; None where there are none."""
    if not rows or not labels:
        return None
    lived = [next(iter(e.trials.values())) for e in examinations]
    units = dict.fromkeys(f"{d.sizes['lifetime']} {d.attrs.get('unit', 'lifetime')}s" for d in lived)
    cells = [(name, [held.get(label, ("–", "")) for label in labels]) for name, held in rows]
    return Grid([worded(label) for label in labels], cells, ", ".join(units))
