"""A family of tasks, a frozen subject's rollout under conditions, trials, probes, findings, placement, report."""

from __future__ import annotations

import os
import sys

if sys.argv[:1] == ["-m"] and "mesascope" in sys.orig_argv and not sys.flags.safe_path:
    # python -m puts the present folder first, and what lies there is not ours; a checkout of ours goes last
    sys.path[:] = [
        *sys.path[1:],
        *(p for p in sys.path[:1] if p == os.path.dirname(os.path.dirname(__file__))),
    ]

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "examine": "examination",
    "Examination": "examination",
    "rollout": "rollouts",
    "replay": "replays",
    "measure": "measurement",
    "place": "placement",
    "Placement": "placement",
    "Rule": "placement",
    "Finding": "findings",
    "Family": "families",
    "FamilyEnv": "families._gymnasium",
    "Percept": "families",
    "observe": "subjects._observing",
    "Subject": "subjects",
    "Response": "subjects",
    "Condition": "conditions",
    "Probe": "probes",
    "read_log": "logs",
    "make": "catalogue",
    "MesascopeError": "errors",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Resolves a public name when it is first used: importing costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mesascope' has no attribute {name!r}; there are {', '.join(__all__)}")
    return getattr(importlib.import_module(f"mesascope.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
