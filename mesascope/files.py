"""Files that are whole at every moment, and the user's cache folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def cache(*parts: str) -> Path:
    """A place in $XDG_CACHE_HOME/mesascope, or in ~/.cache/mesascope; it need not exist.

    What lies there can be made again, or was asked of a server.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").joinpath("mesascope", *parts)


@contextlib.contextmanager
def replacing(path: Path, mark: str | int = "part") -> Iterator[Path]:
    """A file to write beside `path`, which takes its place once it is written: `path` is whole or not there.

    Args:
        path: what is written; its folder must be there.
        mark: tells the file from that of another process that writes the same.
    """
    part = path.with_name(f".{path.name}.{mark}")
    yield part
    part.replace(path)


def write_text(path: Path, text: str) -> None:
    """Writes a text; the file appears whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
