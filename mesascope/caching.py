"""The user's cache folder: what can be made again, and what was asked of a server."""

import os
from pathlib import Path


def cache(*parts: str) -> Path:
    """A place in $XDG_CACHE_HOME/mesascope, or in ~/.cache/mesascope; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").joinpath("mesascope", *parts)
