"""The crux model: what people's claims imply, where people differ, and how evidence should move their beliefs."""

from importlib import import_module
from typing import Any

_NAMES_BY_MODULE = {
    "argument": ("Argument", "load_argument", "load_thread"),
    "answers": ("Answer",),
    "bounds": ("Constraint", "Polytope", "Rule"),
    "claims": ("Conventions",),
    "coherence": ("Issue",),
    "credal": ("CredalNet",),
    "interchange": ("read_bif",),
    "language": ("Event", "parse_event"),
    "networks": ("Net", "Undefined"),
    "readings": ("fit_beta", "read_ratio", "read_value"),
}
_MODULE_BY_NAME = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}
__all__ = sorted(_MODULE_BY_NAME)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_BY_NAME:
        raise AttributeError(f"mesascope.cruxes has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"mesascope.cruxes.{_MODULE_BY_NAME[name]}"), name)
