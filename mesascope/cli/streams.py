"""Keeps the streams and the current folder of the command line in order, whatever other people's code does to them."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator

OUT, ERR = 1, 2  # the file descriptors of standard output and standard error


def prepare_streams() -> None:
    """Replaces closed streams, so that nothing fails at the end, and characters that the terminal cannot show."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open until the process ends
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def run_foreign_code() -> Iterator[None]:
    """Hands standard output to standard error while other people's code runs, and then restores the current folder.

    So what a subject prints, also from C, does not break a JSON document; and the report of a run whose subject changes
    the folder lands where the user asked for it.
    """
    folder = None
    with contextlib.suppress(OSError):  # the folder was deleted
        folder = os.getcwd()
    try:
        with _redirect_descriptor(), contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if folder is not None:
            with contextlib.suppress(OSError):
                os.chdir(folder)


@contextlib.contextmanager
def _redirect_descriptor() -> Iterator[None]:
    """Points the file descriptor of standard output to standard error; does nothing if either is not a real file."""
    saved = None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.stdout.fileno() == OUT and sys.stderr.fileno() == ERR:
            sys.stdout.flush()
            saved = os.dup(OUT)
            os.dup2(ERR, OUT)
    try:
        yield
    finally:
        if saved is not None:
            os.dup2(saved, OUT)
            os.close(saved)
