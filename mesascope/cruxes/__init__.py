"""Claims in each person's own words → readings → bounds or a network → answers → gaps, evidence, a page."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Argument": "argument",
    "load": "argument",
    "default": "argument",
    "Answer": "answers",
    "Conventions": "claims",
    "Issue": "coherence",
    "Polytope": "bounds",
    "Constraint": "bounds",
    "Rule": "bounds",
    "Net": "networks",
    "Undefined": "networks",
    "CredalNet": "credal",
    "Event": "language",
    "parse": "language",
    "read_value": "readings",
    "read_ratio": "readings",
    "fit_beta": "readings",
    "read_bif": "interchange",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"mesascope.cruxes has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"mesascope.cruxes.{_HOMES[name]}"), name)
