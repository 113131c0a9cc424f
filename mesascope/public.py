"""Imports the public names of a package when they are first used."""

from collections.abc import Callable
from typing import Any

import lazy_loader


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Makes `__getattr__`, `__dir__` and `__all__` of a package for the names in the stub (.pyi) beside `file`."""
    import_name, list_names, names = lazy_loader.attach_stub(package, file)

    def import_public_name(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"{package} has no {name!r}; it has {', '.join(names)}.")
        return import_name(name)

    return import_public_name, list_names, names
