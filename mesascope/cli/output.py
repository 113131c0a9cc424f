"""Writes results to standard output, and messages and progress to standard error."""

import json
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mesascope.formats import replace_non_finite
from mesascope.guards.secrecy import redact

CURRENT_ARGUMENTS: list[str] = []  # the arguments of the current command


def format_command() -> str:
    """Formats the current command as a user would type it to repeat the run."""
    from mesascope.examination.runs import format_command_line

    return format_command_line(CURRENT_ARGUMENTS)


def write_result(document: Any, items: Iterable[Any], as_json: bool) -> None:
    """Writes the result of a command to standard output.

    Args:
        document: the result as plain data; infinities and NaN become null.
        items: the result as texts and tables; they are printed without blanks at the ends of lines.
        as_json: whether to write the document as JSON instead of the items.
    """
    from rich.console import Console

    if as_json:
        sys.stdout.write(json.dumps(replace_non_finite(document), allow_nan=False) + "\n")
        return
    for item in items:
        console = Console(file=sys.stdout, markup=False, highlight=False, soft_wrap=isinstance(item, str))
        with console.capture() as capture:
            console.print(escape_controls(item) if isinstance(item, str) else item)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def escape_controls(text: str) -> str:
    """Replaces control and format characters and lone surrogates in a text with �, except newlines and tabs."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" else c for c in text)


def notify(text: str) -> None:
    """Writes a line for the user to standard error."""
    from rich.console import Console

    Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(escape_controls(redact(text)))


def cache_compiled_code(is_short: bool = False) -> None:
    """Caches compiled code for later runs; see `mesascope.rollouts.compiling.cache_compiled_code`."""
    from mesascope.rollouts.compiling import cache_compiled_code

    cache_compiled_code(is_short)


@contextmanager
def show_progress() -> Iterator[Callable[[float, str], None]]:
    """Yields a function that shows progress on standard error, as a bar on a terminal or a line every ten seconds.

    The function takes the share of the work that is done, and a text that says what is running.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if console.is_terminal:
        percent, activity = TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.description}", markup=False)
        columns = (BarColumn(), percent, TimeElapsedColumn(), TimeRemainingColumn(), activity)
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda share, activity: bar.update(task, completed=share, description=escape_controls(activity))
        return
    start = last_time = time.monotonic()
    first_share = None  # the share at the first call, which is not 0 if a stopped run continues

    def write_line(share: float, activity: str) -> None:
        """Writes the finished share of the work, unless a line was written less than ten seconds ago."""
        nonlocal last_time, first_share
        now = time.monotonic()
        first_share = share if first_share is None else first_share
        if now - last_time < 10:
            return
        last_time, done = now, share - first_share
        remaining = f", about {(now - start) * (1 - share) / done:.0f} s left" if done > 0.02 else ""
        sys.stderr.write(f"{share:4.0%} {escape_controls(activity)}{remaining}\n")

    yield write_line


def split_commas(texts: list[str] | None) -> list[str] | None:
    """Splits comma-separated texts into their parts; returns None if there are no parts."""
    return [t.strip() for text in texts or () for t in text.split(",") if t.strip()] or None
