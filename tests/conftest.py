"""What all tests share: one folder of compiled code, no file in the user's home, no window."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

LARGE = 2_000_000_000  # bytes
CACHE = Path(__file__).parents[1] / ".cache"

# before JAX and matplotlib are imported anywhere
os.environ.setdefault("XDG_CACHE_HOME", str(CACHE))
COMPILED = os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(os.environ["XDG_CACHE_HOME"]) / "mesascope" / "compiled")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
if version("jaxlib").startswith("0.10."):  # an unknown flag ends the process
    # Tests compile for longer than they run: fewer emitters, one piece of code where two workers have two cores, and
    # the compiler at the level that lives have anyway (three families checked: 12.6 for 20.5 CPU seconds). At level 0,
    # reading code back from the cache crashed a process of several gigabytes, twice in one run.
    flags = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    flags += " --xla_backend_optimization_level=1"
    os.environ.setdefault("XLA_FLAGS", flags)
os.environ.setdefault("MPLCONFIGDIR", str(CACHE / "matplotlib"))
os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("MESASCOPE_TRACEBACK", None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script; processes would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def little_memory():
    """Drops compiled code after a file of tests that left the process large, and gives the memory back.

    Memory that is kept would count as large after every later file, whose tests would then compile all again.
    """
    yield
    jax = sys.modules.get("jax")
    if jax is not None and Path("/proc/self/statm").is_file():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        if pages * os.sysconf("SC_PAGE_SIZE") > LARGE:
            jax.clear_caches()
            gc.collect()
            with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
                ctypes.CDLL(None).malloc_trim(0)
