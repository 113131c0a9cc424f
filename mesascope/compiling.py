"""How hard the compiler tries: a run spends more time compiling than living.

At level 1 a scan compiles in four fifths of the time of the default and runs as fast; at level 0 a draw of tasks
compiles in less than half of it, and it runs once per block.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx

F = TypeVar("F", bound=Callable)


def lived(function: F) -> F:
    """Compiles what runs for long."""
    return _at(1, function)


def drawn(function: F) -> F:
    """Compiles what runs once or a few times."""
    return _at(0, function)


def _at(level: int, function: Callable) -> Any:
    options: dict[str, Any] = {"compiler_options": {"xla_backend_optimization_level": level}}
    return eqx.filter_jit(function, **options)
