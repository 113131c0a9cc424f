"""Writes files atomically, hashes folders, and finds the user's cache folder."""

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

PROCESS_NAME = f"{socket.gethostname()}-{os.getpid()}"  # no other process has this name, on this or another machine


def make_cache_path(*parts: str) -> Path:
    """Makes a path in $XDG_CACHE_HOME/mesascope or, without this variable, in ~/.cache/mesascope; creates no folder.

    The cache contains only files that can be computed again, and saved answers of a model server.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").joinpath("mesascope", *parts)


@contextlib.contextmanager
def replace_when_written(path: Path, name_mark: str = "part") -> Iterator[Path]:
    """Yields the path of a temporary file, which replaces `path` if the context ends without an error.

    So `path` is never incomplete.

    Args:
        path: the file to write; its folder must exist.
        name_mark: a text in the temporary file's name. It must be PROCESS_NAME if several processes may write the same
            path at once.

    Raises:
        OSError: the file cannot be written, for example because the disk is full; `path` then has its former content.
    """
    part = path.with_name(f".{path.name}.{name_mark}")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk is reported without a name
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text to a file atomically; several processes may do so at once.

    Characters that UTF-8 cannot encode, such as those for undecodable bytes of a path, become escape sequences.
    """
    with replace_when_written(path, PROCESS_NAME) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[bool]:
    """Yields whether this process alone holds the lock of a folder; the lock ends with the context or the process.

    On systems without file locks, such as Windows, nothing is locked, and the function yields True.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a file system without locks
            pass
        yield True


def hash_folder(folder: Path, suffixes: tuple[str, ...] = (".py", ".toml"), excluded_folder: Path | None = None) -> str:
    """Hashes all code and settings in a folder, so that results of other code are not reused; returns 16 hex digits.

    Args:
        folder: the folder; its subfolders are included.
        suffixes: the suffixes of the files to hash.
        excluded_folder: a folder whose files are left out; None leaves out no files.
    """
    hasher = hashlib.sha256()
    left_out = excluded_folder.resolve() if excluded_folder else None
    for path in sorted(p for p in folder.rglob("*") if p.suffix in suffixes):
        if left_out is None or not path.resolve().is_relative_to(left_out):
            hasher.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()[:16]


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
