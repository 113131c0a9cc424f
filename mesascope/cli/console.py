"""What the terminal shows: tables of plug-ins, the validation's confusion matrix, progress."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

Tell = Callable[[float, str], None]


def visible(text: str) -> str:
    """Text from anyone with its lines kept: characters that steer a terminal show as �."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" else c for c in text
    )


def printed(what: Any) -> str:
    """Text or a table as the terminal shows it, without blanks at the ends of lines."""
    what = visible(what) if isinstance(what, str) else what
    console = Console(file=sys.stdout, markup=False, highlight=False, soft_wrap=isinstance(what, str))
    with console.capture() as shown:
        console.print(what)
    return "".join(f"{line.rstrip()}\n" for line in shown.get().splitlines())


def plugins(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The plug-ins with their settings, as `mesascope list` prints them."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("kind", "name", "says", "settings"):
        table.add_column(name, overflow="fold", no_wrap=name == "name")
    for row in rows:
        told = ", ".join(k if v is None else f"{k}={v}" for k, v in row["settings"].items())
        table.add_row(*(Text(visible(str(x))) for x in (row["kind"], row["name"], row["says"], told)))
    return table


def validation(found: Mapping[str, Any]) -> Group:
    """The confusion matrix, the shares and the coverage, as `mesascope validate` prints them."""
    readings = sorted({r for row in found["confusion"].values() for r in row})
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="runs by truth (rows) and reading (columns)")
    table.add_column("truth")
    for reading in readings:
        table.add_column(reading, justify="right")
    for truth, row in found["confusion"].items():
        table.add_row(truth, *(str(row.get(r, 0) or "·") for r in readings))
    subjects = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("subject", "truth", "readings"):
        subjects.add_column(name, overflow="fold")
    for row in found["subjects"]:
        told = ", ".join(f"{reading} {count}" for reading, count in row["readings"].items())
        subjects.add_row(Text(row["subject"]), Text(row["truth"]), Text(told))
    for name, axis in found["axes"].items():
        for row in axis["subjects"]:
            told = ", ".join(f"{reading} {count}" for reading, count in row["readings"].items())
            subjects.add_row(Text(row["subject"]), Text(f"{name}: {row['truth']}"), Text(told))
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
    return Group(subjects, table, Text("\n".join(lines)))


def outcome(found: Mapping[str, Any]) -> Group:
    """A study's table and what became of its expectations, as `mesascope reproduce` prints them."""
    from mesascope.reproduction import outcomes

    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("what", "of", "published", "exact", "ours", "within"):
        rows.add_column(name, overflow="fold")
    for row in found["rows"]:
        cells = (row["quantity"], row["subject"], *outcomes.compared(row))
        rows.add_row(*(Text(visible(c)) for c in (*cells, outcomes.ours(row), outcomes.within(row))))
    expected = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("expected before the run", "size", "seen", "outcome"):
        expected.add_column(name, overflow="fold")
    for row in found["expects"]:
        expected.add_row(*(Text(visible(c)) for c in outcomes.expected(row)))
    return Group(Text(visible(found["says"])), Text(outcomes.label(found)), rows, expected)


@contextmanager
def progress() -> Iterator[Tell]:
    """A bar on a terminal, a line every ten seconds elsewhere; all on standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, TextColumn("{task.description}", markup=False), console=console, transient=True
        ) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda share, doing: bar.update(task, completed=share, description=visible(doing))
        return
    begun = last = time.monotonic()
    first = None  # a run that goes on does not begin at 0

    def tell(share: float, doing: str) -> None:
        nonlocal last, first
        now = time.monotonic()
        first = share if first is None else first
        if now - last < 10:
            return
        last = now
        gone = share - first
        left = f", about {(now - begun) * (1 - share) / gone:.0f} s left" if gone > 0.02 else ""
        sys.stderr.write(f"{share:4.0%} {visible(doing)}{left}\n")

    yield tell
