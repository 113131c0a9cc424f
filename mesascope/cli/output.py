"""What the command line writes: documents and tables on standard output, the rest on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mesascope.guards.secrecy import plain

ARGUMENTS: list[str] = []  # of the command that runs


def command() -> str:
    """The command that runs, as one would type it again."""
    from mesascope.examination.runs import repeating

    return repeating(ARGUMENTS)


def write_json(document: Any) -> None:
    """Writes one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")


def write(what: Any) -> None:
    """Writes a text or a table to standard output."""
    from mesascope.cli.console import printed

    sys.stdout.write(printed(what))


def say(text: str) -> None:
    """Writes a line for the user to standard error."""
    from rich.console import Console

    from mesascope.cli.console import visible

    Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(visible(plain(text)))


def keep_compiled(short: bool = False) -> None:
    """Keeps compiled code between runs; see `mesascope.rollouts.compiling.keep`."""
    from mesascope.rollouts.compiling import keep

    keep(short)


@contextmanager
def show_progress() -> Iterator[Any]:
    """A bar on a terminal, a line every ten seconds elsewhere; all on standard error."""
    from mesascope.cli.console import progress

    with progress() as tell:
        yield tell


def listed(texts: list[str] | None) -> list[str] | None:
    """The parts of comma-separated texts, None where there are none."""
    return [t.strip() for text in texts or () for t in text.split(",") if t.strip()] or None
