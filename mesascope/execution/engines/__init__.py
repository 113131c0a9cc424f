"""Engines, which run units in processes. A file in this folder adds one.

The file defines `SCHEMES`, the words that select the engine (the whole address, or the part before '://'), and

    run(work, units, address, workers) -> Iterator[tuple[int, Outcome]]

which yields the index and the outcome of every unit as soon as it is finished. If a unit fails, the iterator raises
its error at once and begins no other unit. If the caller closes the iterator, running units may save their state.
"""

import importlib
import pkgutil
from types import ModuleType

from mesascope.errors import require_known_name


def find_engine(address: str) -> ModuleType:
    """Finds the engine for an address: 'local', or 'SCHEME://HOST:PORT'.

    Raises:
        MesascopeError: no engine has this scheme.
    """
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    engines = {scheme: module for module in modules for scheme in module.SCHEMES}
    return engines[require_known_name("engine", address.partition("://")[0], engines)]
