"""Makes tables of plug-ins, of the validation and of studies for the terminal."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mesascope.cli.output import escape_controls


def _make_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """Makes a table; replaces control characters in its cells, because their texts may come from any source."""
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(escape_controls(str(cell))) for cell in row))
    return table


def make_plugin_tables(rows: Sequence[Mapping[str, Any]], should_show_settings: bool) -> Group:
    """Makes the tables that `mesascope list` prints, one for each kind of plug-in.

    Args:
        rows: the rows that `catalogue.describe_plugins` returns, sorted by kind.
        should_show_settings: whether to show the settings of each plug-in.
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
            if should_show_settings and row["settings"]:
                settings_text = (k if v is None else f"{k}={v}" for k, v in row["settings"].items())
                text.append(f"\n{escape_controls(', '.join(settings_text))}", style="dim")
            table.add_row(Text(escape_controls(row["name"]), style="bold"), text)
        parts += [Text(f"{kind} ({table.row_count})", style="underline"), table, Text()]
    return Group(*parts)


def make_validation_tables(results: Mapping[str, Any]) -> Group:
    """Makes the tables that `mesascope validate` prints: readings by subject, confusion matrix, shares and coverage."""
    readings = sorted({r for row in results["confusion"].values() for r in row})
    matrix = _make_table(
        ("truth", *readings),
        ((truth, *(row.get(r, 0) or "·" for r in readings)) for truth, row in results["confusion"].items()),
        "runs by truth (rows) and reading (columns)",
    )
    for column in matrix.columns[1:]:
        column.justify = "right"
    rows = [(row, row["truth"]) for row in results["subjects"]]
    rows += [(row, f"{name}: {row['truth']}") for name, axis in results["axes"].items() for row in axis["subjects"]]
    cells = [
        (row["subject"], truth, ", ".join(f"{r} {n}" for r, n in row["readings"].items()))
        for row, truth in rows
        if row["readings"]
    ]
    subjects = _make_table(("subject", "truth", "readings"), cells)
    runs = results["runs"]
    right, wrong, undetermined = (
        "–" if results[key] is None else f"{results[key]:.2%}" for key in ("right", "wrong", "undetermined")
    )
    placements = [
        f"correct: {right} of the {runs['demanded']} runs that require a reading",
        f"{results['subjects_right']} of {results['subjects_demanded']} subjects nearly always correct (bound 97 %)",
        f"wrong: {wrong}, undetermined: {undetermined}, of {runs['all']} runs",
        f"{runs['cannot acquire']} runs of subjects that cannot acquire: "
        f"{results['false_positives']} placed above 'tracking', "
        f"{results['perhaps_above']} with an interval that reaches above 'tracking'",
    ]
    lines = [
        *(placements if runs["all"] else ()),
        *(
            f"{c['study']}, N = {c['n']}: the 95 % interval covers the truth in {c['covered']:.1%} "
            f"of {c['studies']} studies"
            for c in results["coverage"]
        ),
        *(
            f"axis {name}: correct in {axis['right']:.1%} of {axis['runs']} runs, "
            f"{axis['false_positives']} controls with a forbidden reading"
            for name, axis in results["axes"].items()
        ),
        *results["missed"],
    ]
    tables = [*([subjects] if cells else []), *([matrix] if runs["all"] else [])]
    return Group(*tables, Text("\n".join(lines)))


def make_study_tables(results: Mapping[str, Any]) -> Group:
    """Makes the tables that `mesascope reproduce` prints: a study's values and the outcomes of its expectations."""
    from mesascope.reproduction import outcomes

    cells = [
        (
            r["quantity"],
            r["subject"],
            *outcomes.format_references(r),
            outcomes.format_own_number(r),
            outcomes.describe_agreement(r),
        )
        for r in results["rows"]
    ]
    rows = _make_table(("what", "of", "published", "exact", "ours", "within"), cells)
    columns = ("expected before the run", "size", "seen", "outcome")
    expected = _make_table(columns, map(outcomes.format_expectation, results["expects"]))
    return Group(Text(escape_controls(results["says"])), Text(outcomes.describe_intervals(results)), rows, expected)
