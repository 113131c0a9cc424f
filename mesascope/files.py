"""Atomic writes of files, and the user's cache folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def make_cache_path(*parts: str) -> Path:
    """Makes a path in $XDG_CACHE_HOME/mesascope, or in ~/.cache/mesascope; the path need not exist.

    The cache contains only files that can be computed again, and saved answers of a model server.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").joinpath("mesascope", *parts)


@contextlib.contextmanager
def replace_when_written(path: Path, name_mark: str | int = "part") -> Iterator[Path]:
    """Yields the path of a temporary file that replaces `path` when the context ends, so `path` is never incomplete.

    Args:
        path: the file to write; its folder must exist.
        name_mark: part of the temporary file's name; processes that write the same path at once need different marks.
    """
    part = path.with_name(f".{path.name}.{name_mark}")
    yield part
    part.replace(path)


def write_text(path: Path, text: str) -> None:
    """Writes a text to a file atomically."""
    with replace_when_written(path) as part:
        part.write_text(text, encoding="utf-8")


def limit_folder_size(folder: Path, max_bytes: int) -> None:
    """Deletes the least recently changed files in a folder until the folder contains at most `max_bytes` bytes."""
    states = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may delete files too
            states.append((path, path.stat()))
    excess = sum(state.st_size for _, state in states) - max_bytes
    for path, state in sorted(states, key=lambda entry: entry[1].st_mtime):
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= state.st_size
