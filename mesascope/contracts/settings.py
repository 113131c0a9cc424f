"""Settings that a factory's signature declares: the name that one would type, and checks that say what to type."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from mesascope.errors import MesascopeError, unknown

MOST_GIB = 1.0  # that what a block of lifetimes shows may take
F = TypeVar("F", bound=Callable[..., Any])


def keep_settings(factory: F) -> F:
    """A family's factory whose families know the settings that they were made with, defaults included."""
    signature = inspect.signature(factory)

    @functools.wraps(factory)
    def make(*args: Any, **given: Any) -> Any:
        bound = signature.bind(*args, **given)
        bound.apply_defaults()
        return factory(*args, **given).with_settings(bound.arguments)

    return make  # pyright: ignore[reportReturnType]


def named(factory: Callable[..., Any], **given: Any) -> str:
    """The plug-in's name (its file's) with the settings that are not the factory's defaults.

    A bank's settings are shown together, and only where there is a bank.
    """
    defaults = inspect.signature(factory).parameters
    shown = {k: v for k, v in given.items() if k not in ("bank", "bank_seed") and v != defaults[k].default}
    shown |= {k: given[k] for k in ("bank", "bank_seed") if given.get("bank")}
    settings = ",".join(f"{k}={v}" for k, v in shown.items())
    return factory.__module__.rpartition(".")[2] + (f":{settings}" if settings else "")


def within(low: float, high: float, **given: float) -> None:
    """Raises where a setting is not a number from low to high."""
    for label, value in given.items():
        if not low <= value <= high:
            whole = all(isinstance(x, int) for x in (low, high, value))
            least, most = (str(x) if isinstance(x, int) else f"{x:g}" for x in (low, high))
            raise MesascopeError(
                f"{label}={value} is out of range.",
                f"Give a {'whole ' if whole else ''}number from {least} to {most}.",
            )


def one_of(known: tuple[str, ...], **given: str) -> None:
    """Raises where a setting is not one of the known words."""
    for label, value in given.items():
        if value not in known:
            raise unknown(f"{label} setting", value, known)


def fits(numbers: int, what: str, remedy: str) -> None:
    """Raises where what one lifetime shows, so many numbers, does not fit into memory for a whole block of them."""
    size = 4 * 64 * numbers / 2**30
    if size > MOST_GIB:
        raise MesascopeError(
            f"{what} show {numbers:,} numbers in a lifetime: {size:,.1f} GiB for every block of 64.", remedy
        )
