"""Keeps the compiler's effort low, because a run spends more time on compilation than on lifetimes.

At level 1, a scan compiles in four fifths of the time that the default level takes, and runs as fast. At level 0, a
draw of tasks compiles in less than half of that time. Its code may be slow, because it runs only once per block.
"""

import functools
import os
from importlib.metadata import version
from typing import Any

import equinox as eqx
import jax

from mesascope.files import make_cache_path

LEVEL = "xla_backend_optimization_level"
_jit: Any = eqx.filter_jit

# decorators: `compile_loop` for a function that runs for a long time, `compile_once` for one that runs a few times
compile_loop = functools.partial(_jit, compiler_options={LEVEL: 1})
compile_once = functools.partial(_jit, compiler_options={LEVEL: 0})


def cache_compiled(short: bool = False) -> None:
    """Keeps compiled code in the user's cache folder, for later runs and for processes that this process starts.

    A short run spends more time on compilation than on lifetimes. It uses emitters that compile in two thirds of the
    time, but whose code takes a quarter longer to run. An unknown flag would end the process, so this function sets
    the flag only for known versions of jaxlib.
    """
    if short and version("jaxlib").startswith("0.10."):
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    folder = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(make_cache_path("compiled")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
