"""The crux model: what people's claims imply, where people differ, and how evidence should move their beliefs."""

from importlib import import_module
from typing import Any

_NAMES = {
    "argument": ("Argument", "default", "load"),
    "answers": ("Answer",),
    "bounds": ("Constraint", "Polytope", "Rule"),
    "claims": ("Conventions",),
    "coherence": ("Issue",),
    "credal": ("CredalNet",),
    "interchange": ("read_bif",),
    "language": ("Event", "parse"),
    "networks": ("Net", "Undefined"),
    "readings": ("fit_beta", "read_ratio", "read_value"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"mesascope.cruxes has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"mesascope.cruxes.{_MODULES[name]}"), name)
