"""Settings of scripted subjects: the name that one would type, and checks that say what to type instead."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mesascope.errors import MesascopeError, unknown


def named(factory: Callable[..., Any], **given: Any) -> str:
    """The subject's name (its file's) with the settings that are not the factory's defaults."""
    defaults = inspect.signature(factory).parameters
    settings = ",".join(f"{k}={v}" for k, v in given.items() if v != defaults[k].default)
    return factory.__module__.rpartition(".")[2] + (f":{settings}" if settings else "")


def within(low: float, high: float, **given: float) -> None:
    """Raises where a setting is not a number from low to high."""
    for label, value in given.items():
        if not low <= value <= high:
            raise MesascopeError(
                f"{label}={value} is out of range.", f"Give a number from {low:g} to {high:g}."
            )


def one_of(known: tuple[str, ...], **given: str) -> None:
    """Raises where a setting is not one of the known words."""
    for label, value in given.items():
        if value not in known:
            raise unknown(f"{label} setting", value, known)
