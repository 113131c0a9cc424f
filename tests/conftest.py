"""What all tests share: one folder of compiled code, no file in the user's home, no window."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"

# before JAX and matplotlib are imported anywhere
os.environ.setdefault("XDG_CACHE_HOME", str(CACHE))
COMPILED = os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(os.environ["XDG_CACHE_HOME"]) / "mesascope" / "compiled")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
if version("jaxlib").startswith("0.10."):  # an unknown flag ends the process
    # compiles in half of the time; what runs long runs a quarter longer
    flags = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"
    os.environ.setdefault("XLA_FLAGS", flags)
os.environ.setdefault("MPLCONFIGDIR", str(CACHE / "matplotlib"))
os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("MESASCOPE_TRACEBACK", None)


def pytest_collection_modifyitems(items):
    """The longest test first, so that no worker waits for it at the end."""
    items.sort(key=lambda item: "test_known_answers_are_read_right" not in item.nodeid)
