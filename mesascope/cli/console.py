"""The tables that the terminal shows: of plug-ins, of the validation, of a study."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mesascope.cli.output import escape_controls


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """A table of texts from anyone."""
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(escape_controls(str(cell))) for cell in row))
    return table


def plugins(rows: Sequence[Mapping[str, Any]], settings: bool) -> Group:
    """The plug-ins, kind by kind, as `mesascope list` prints them.

    Args:
        rows: as `catalogue.describe` gives them.
        settings: whether each shows its settings.
    """
    parts: list[Any] = []
    for kind, group in itertools.groupby(rows, key=lambda row: row["kind"]):
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column()
        for row in group:
            text = Text(escape_controls(row["says"]))
            if row.get("package"):
                text.append(f" (from {escape_controls(row['package'])})", style="italic")
            if settings and row["settings"]:
                shown = (k if v is None else f"{k}={v}" for k, v in row["settings"].items())
                text.append(f"\n{escape_controls(', '.join(shown))}", style="dim")
            table.add_row(Text(escape_controls(row["name"]), style="bold"), text)
        parts += [Text(f"{kind} ({table.row_count})", style="underline"), table, Text()]
    return Group(*parts)


def validation(found: Mapping[str, Any]) -> Group:
    """The confusion matrix, the shares and the coverage, as `mesascope validate` prints them."""
    readings = sorted({r for row in found["confusion"].values() for r in row})
    matrix = _table(
        ("truth", *readings),
        ((truth, *(row.get(r, 0) or "·" for r in readings)) for truth, row in found["confusion"].items()),
        "runs by truth (rows) and reading (columns)",
    )
    for column in matrix.columns[1:]:
        column.justify = "right"
    known = [("", row) for row in found["subjects"]]
    known += [(f"{name}: ", row) for name, axis in found["axes"].items() for row in axis["subjects"]]
    subjects = _table(
        ("subject", "truth", "readings"),
        (
            (row["subject"], of + row["truth"], ", ".join(f"{r} {n}" for r, n in row["readings"].items()))
            for of, row in known
        ),
    )
    lines = [
        f"right {found['right']:.1%} of {found['runs']['demanded']} runs that demand a reading (bound 97 %)",
        f"wrong {found['wrong']:.2%} and undetermined {found['undetermined']:.1%} of {found['runs']['all']} runs",
        f"false positives {found['false_positives']} of {found['runs']['cannot acquire']}",
        *(
            f"{c['study']}, N = {c['n']}: the 95 % interval covers in {c['covered']:.1%} of {c['studies']} studies"
            for c in found["coverage"]
        ),
        *(
            f"axis {name}: right in {told['right']:.1%} of {told['runs']} runs, "
            f"{told['false_positives']} controls read as what they must not be"
            for name, told in found["axes"].items()
        ),
        *found["missed"],
    ]
    return Group(subjects, matrix, Text("\n".join(lines)))


def outcome(found: Mapping[str, Any]) -> Group:
    """A study's table and what became of its expectations, as `mesascope reproduce` prints them."""
    from mesascope.reproduction import outcomes

    rows = _table(
        ("what", "of", "published", "exact", "ours", "within"),
        (
            (
                r["quantity"],
                r["subject"],
                *outcomes.format_references(r),
                outcomes.format_ours(r),
                outcomes.judge_row(r),
            )
            for r in found["rows"]
        ),
    )
    asked = ("expected before the run", "size", "seen", "outcome")
    expected = _table(asked, map(outcomes.format_expectation, found["expects"]))
    return Group(Text(escape_controls(found["says"])), Text(outcomes.label(found)), rows, expected)
