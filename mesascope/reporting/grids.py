"""The numbers behind the pictures of rings and conditions, as rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from mesascope.reporting.figures import conditions, rings
from mesascope.reporting.words import condition, number, ring, span

if TYPE_CHECKING:
    from mesascope.examination import Examination

Cell = tuple[str, str]  # an estimate and its interval


class Grid(NamedTuple):
    """One number per row and column, with its interval.

    Attributes:
        columns: who.
        rows: what, and a cell per column.
        units: n and unit of the numbers.
    """

    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    units: str


def ring_grid(examinations: Sequence[Examination]) -> Grid | None:
    """The gain on every ring, of the subjects and then of the references."""
    own: list[tuple[str, dict[str, Cell]]] = []
    others: dict[str, list[dict[str, Cell]]] = {}
    names: list[rings.Gain] = []
    for e in examinations:
        gains = rings.gains(e)
        names += gains
        by_role: dict[tuple[str, str], dict[str, Cell]] = {}
        for g in gains:
            by_role.setdefault((g.role, g.name), {})[g.ring] = (number(g.estimate), span(g.low, g.high))
        for (role, name), cells in by_role.items():
            if role == "subject":
                own.append((name, cells))
            elif cells not in others.setdefault(name, []):
                others[name].append(cells)
    columns = list(own)
    for name, found in others.items():  # a locator of another bank is another column
        columns += [
            (name if len(found) == 1 else f"{name} ({i + 1})", cells) for i, cells in enumerate(found)
        ]
    labels = rings.order(names)
    rows = [(ring(label), [cells.get(label, ("–", "")) for _, cells in columns]) for label in labels]
    return (
        Grid(
            [f"reference: {n}" if i >= len(own) else n for i, (n, _) in enumerate(columns)],
            rows,
            _units(examinations),
        )
        if rows
        else None
    )


def condition_grid(examinations: Sequence[Examination]) -> Grid | None:
    """The gain on fresh tasks under every condition."""
    columns = [(e.subject, {d.condition: d for d in conditions.disturbed(e)}) for e in examinations]
    columns = [(name, rows) for name, rows in columns if rows]
    labels = conditions.order([d for _, rows in columns for d in rows.values()])
    rows = []
    for label in labels:
        cells = [found.get(label) for _, found in columns]
        rows.append(
            (condition(label), [(number(d.estimate), span(d.low, d.high)) if d else ("–", "") for d in cells])
        )
    return Grid([name for name, _ in columns], rows, _units(examinations)) if rows else None


def _units(examinations: Sequence[Examination]) -> str:
    """n and unit: '256 lifetimes'."""
    lived = [next(iter(e.trials.values())) for e in examinations]
    told = dict.fromkeys(f"{d.sizes['lifetime']} {d.attrs.get('unit', 'lifetime')}s" for d in lived)
    return ", ".join(told)
