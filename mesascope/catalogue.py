"""Names → plug-ins: the plural folders and other packages' entry points are the registry.

A plug-in is a module with one factory named after its kind. It is imported only when it is asked for by name.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from mesascope.errors import MesascopeError, unknown

KINDS = {
    "families": "family",
    "subjects": "subject",
    "conditions": "condition",
    "probes": "probe",
    "recipes": "recipe",
}
BOUND = ("family", "out", "progress")  # parameters that are handed over, never typed


def names(kind: str) -> list[str]:
    """All plug-ins of a kind, by name, without importing them."""
    folder = Path(__file__).parent / kind
    own = [m.name for m in pkgutil.iter_modules([str(folder)]) if not m.name.startswith("_")]
    return sorted({*own, *(e.name for e in entry_points(group=f"mesascope.{kind}"))})


def module(kind: str, name: str) -> ModuleType:
    """The module of one plug-in.

    Raises:
        MesascopeError: no such name (with the nearest ones), or it cannot be imported.
    """
    if kind not in KINDS:
        raise unknown("kind of plug-in", kind, KINDS)
    if name not in names(kind):
        raise unknown(KINDS[kind], name, names(kind))
    found = [e for e in entry_points(group=f"mesascope.{kind}") if e.name == name]
    target = found[0].value.partition(":")[0] if found else f"mesascope.{kind}.{name}"
    try:
        return importlib.import_module(target)
    except Exception as error:
        raise MesascopeError(
            f"The {KINDS[kind]} {name!r} ({target}) cannot be imported: {type(error).__name__}: {error}.",
            "Mend or uninstall it.",
        ) from error


def factory(kind: str, name: str) -> Callable[..., Any]:
    """The factory of one plug-in: its signature is its settings."""
    made = getattr(module(kind, name), KINDS[kind], None)
    if not callable(made):
        raise MesascopeError(f"The {KINDS[kind]} {name!r} has no factory.", f"Define a function {KINDS[kind]}(...).")
    return made


def settings(made: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The settings of a factory: its parameters but for what is handed over."""
    return {k: p for k, p in inspect.signature(made).parameters.items() if k not in BOUND}


def split(spec: str) -> tuple[str, dict[str, str]]:
    """'name:k=v,k=v' as a name and its settings, still text.

    Raises:
        MesascopeError: a setting without '='.
    """
    name, _, rest = spec.partition(":")
    given: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise MesascopeError(f"{pair!r} in {spec!r} is no setting.", f"Type {name}:key=value,key=value.")
        if key.strip() in given:
            raise MesascopeError(f"{key.strip()!r} is set twice in {spec!r}.", "Set it once.")
        given[key.strip()] = value.strip()
    return name.strip(), given


def make(kind: str, spec: str, *handed: Any, **preset: Any) -> Any:
    """Makes the plug-in that a text names.

    Args:
        kind: families, subjects, conditions, probes or recipes.
        spec: 'name' or 'name:key=value,…'.
        handed: what the factory takes first, e.g. the family for a subject.
        preset: settings in Python, over those in the text.
    """
    name, given = split(spec)
    made = factory(kind, name)
    return made(*handed, **{**convert(made, given, f"{KINDS[kind]} {name!r}"), **preset})


def convert(made: Callable[..., Any], given: dict[str, str], what: str) -> dict[str, Any]:
    """Settings from text by the types in the factory's signature.

    Raises:
        MesascopeError: an unknown setting, or a value of another type.
    """
    known = settings(made)
    hints = typing.get_type_hints(made)
    out = {}
    for key, text in given.items():
        if key not in known:
            error = unknown("setting", key, known)
            raise MesascopeError(f"The {what} has no setting {key!r}.", error.remedy)
        out[key] = _value(hints.get(key, str), text, key, what)
    return out


def _value(kind: Any, text: str, key: str, what: str) -> Any:
    if kind is bool:
        if text.lower() in ("true", "yes", "1"):
            return True
        if text.lower() in ("false", "no", "0"):
            return False
        raise MesascopeError(f"{key}={text!r} of the {what} is neither true nor false.", f"Type {key}=true or false.")
    if kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            word = "whole number" if kind is int else "number"
            raise MesascopeError(f"{key}={text!r} of the {what} is no {word}.", f"Type {key}=1.") from None
        if value != value or value in (float("inf"), float("-inf")):
            raise MesascopeError(f"{key}={text!r} of the {what} is not finite.", f"Type {key}=1.")
        return value
    return text


def says(made: Callable[..., Any]) -> str:
    """The first line of a factory's docstring."""
    return (inspect.getdoc(made) or "").strip().split("\n")[0]


def describe(kind: str) -> list[dict[str, Any]]:
    """Every plug-in of a kind: kind, name, what it says of itself, its settings with their defaults."""
    rows = []
    for name in names(kind):
        try:
            made = factory(kind, name)
            known = {
                k: None if p.default is inspect.Parameter.empty else p.default for k, p in settings(made).items()
            }
            rows.append({"kind": KINDS[kind], "name": name, "says": says(made), "settings": known})
        except MesascopeError as error:
            rows.append({"kind": KINDS[kind], "name": name, "says": f"broken: {error.problem}", "settings": {}})
    return rows
