"""What the command line writes: documents and tables on standard output, the rest on standard error."""

import json
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mesascope.guards.secrecy import redact

ARGUMENTS: list[str] = []  # of the command that runs


def command() -> str:
    """The command that runs, as one would type it again."""
    from mesascope.examination.runs import command_line

    return command_line(ARGUMENTS)


def write_json(document: Any) -> None:
    """Writes one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")


def write(what: Any) -> None:
    """Writes a text or a table to standard output, without blanks at the ends of lines."""
    from rich.console import Console

    what = escape_controls(what) if isinstance(what, str) else what
    console = Console(file=sys.stdout, markup=False, highlight=False, soft_wrap=isinstance(what, str))
    with console.capture() as shown:
        console.print(what)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in shown.get().splitlines()))


def escape_controls(text: str) -> str:
    """Text from anyone with its lines kept: characters that steer a terminal show as �."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" else c for c in text
    )


def notify(text: str) -> None:
    """Writes a line for the user to standard error."""
    from rich.console import Console

    Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(escape_controls(redact(text)))


def keep_compiled(short: bool = False) -> None:
    """Keeps compiled code between runs; see `mesascope.rollouts.compiling.cache_compiled`."""
    from mesascope.rollouts.compiling import cache_compiled

    cache_compiled(short)


@contextmanager
def show_progress() -> Iterator[Callable[[float, str], None]]:
    """A bar on a terminal, a line every ten seconds elsewhere; all on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if console.is_terminal:
        percent, doing = (
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.description}", markup=False),
        )
        columns = (BarColumn(), percent, TimeElapsedColumn(), TimeRemainingColumn(), doing)
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda share, doing: bar.update(task, completed=share, description=escape_controls(doing))
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
        sys.stderr.write(f"{share:4.0%} {escape_controls(doing)}{left}\n")

    yield tell


def split_commas(texts: list[str] | None) -> list[str] | None:
    """The parts of comma-separated texts, None where there are none."""
    return [t.strip() for text in texts or () for t in text.split(",") if t.strip()] or None
