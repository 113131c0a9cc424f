"""How hard the compiler tries: a run spends more time compiling than living.

At level 1 a scan compiles in four fifths of the time of the default and runs as fast; at level 0 a draw of tasks
compiles in less than half of it, and it runs once per block.
"""

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

import equinox as eqx
import jax

from mesascope.files import cache

F = TypeVar("F", bound=Callable)


def compile_loop(function: F) -> F:
    """Compiles what runs for long."""
    return _at(1, function)


def compile_once(function: F) -> F:
    """Compiles what runs once or a few times."""
    return _at(0, function)


def _at(level: int, function: Callable) -> Any:
    options: dict[str, Any] = {"compiler_options": {"xla_backend_optimization_level": level}}
    return eqx.filter_jit(function, **options)


def cache_compiled(short: bool = False) -> None:
    """Keeps compiled code between runs, in the user's cache folder; for processes that this one begins too.

    A short run compiles for longer than it lives: it takes emitters that compile in two thirds of the time, whose
    code runs a quarter longer. An unknown flag would end the process, so only known versions are told.
    """
    if short and version("jaxlib").startswith("0.10."):
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    folder = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache("compiled")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
