"""Names plug-ins after the settings in their factory's signature, and checks the values of settings."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, TypeVar, overload

from mesascope.errors import MesascopeError, make_unknown_name_error, require

MAX_OBSERVATION_GIB = 1.0  # the memory limit for the observations of a block of lifetimes, in GiB
SEED_RANGE = (0, 2**32 - 1)
F = TypeVar("F", bound=Callable[..., Any])
AllowedValues = tuple[float, float] | tuple[str, ...]


@overload
def keep_settings(factory: F, /) -> F: ...
@overload
def keep_settings(**allowed: AllowedValues) -> Callable[[F], F]: ...
def keep_settings(factory: Any = None, /, **allowed: AllowedValues) -> Any:
    """Decorates a factory: its families or subjects are named after their settings, and families also store them.

    Args:
        factory: a factory of families or subjects.
        allowed: for each setting, the range (smallest, largest) of a number, or the allowed words. Other values raise
            `MesascopeError`. The seed of a bank is always checked.
    """
    if factory is None:
        return functools.partial(keep_settings, **allowed)
    signature = inspect.signature(factory)
    ranges: dict[str, Any] = {**allowed, "bank_seed": SEED_RANGE} if "bank_seed" in signature.parameters else allowed

    @functools.wraps(factory)
    def make(*args: Any, **keywords: Any) -> Any:
        bound = signature.bind(*args, **keywords)
        bound.apply_defaults()
        settings = {k: v for k, v in bound.arguments.items() if k != "family"}
        for label, values in ranges.items():
            if isinstance(values[0], str):
                check_choice(values, **{label: settings[label]})
            else:
                check_range(*values, **{label: settings[label]})
        return factory(*args, **keywords).with_settings(make_configured_name(factory, **settings), settings)

    return make


def make_configured_name(factory: Callable[..., Any], **settings: Any) -> str:
    """Makes the name of a plug-in: its file's name with the settings that differ from the factory's defaults.

    If there is a bank, the name contains both settings of the bank; otherwise it contains neither.
    """
    defaults = inspect.signature(factory).parameters
    changed = {k: v for k, v in settings.items() if k not in ("bank", "bank_seed") and v != defaults[k].default}
    changed |= {k: settings[k] for k in ("bank", "bank_seed") if settings.get("bank")}
    text = ",".join(f"{k}={v}" for k, v in changed.items())
    return factory.__module__.rpartition(".")[2] + (f":{text}" if text else "")


def check_range(low: float, high: float, /, **values: float) -> None:
    """Raises `MesascopeError` if a setting is not a number from low to high; an infinite `high` sets no limit."""
    for label, value in values.items():
        if not low <= value <= high:
            numbers = [x for x in (low, high) if x != math.inf]
            kind = "whole number" if all(isinstance(x, int) for x in (*numbers, value)) else "number"
            limits = " to ".join(str(x) if isinstance(x, int) else f"{x:g}" for x in numbers)
            raise MesascopeError(f"{label}={value} is out of range.", f"Give a {kind} from {limits}.")


def check_choice(allowed: tuple[str, ...], /, **values: str) -> None:
    """Raises `MesascopeError` if a setting is not one of the words in `allowed`."""
    for label, value in values.items():
        if value not in allowed:
            raise make_unknown_name_error(f"{label} setting", value, allowed)


def check_memory(numbers_per_lifetime: int, label: str, remedy: str) -> None:
    """Raises `MesascopeError` if a block's observations need more than `MAX_OBSERVATION_GIB`, at 4 bytes per number.

    Args:
        numbers_per_lifetime: the count of numbers in all observations of one lifetime.
        label: the beginning of the error message, a plural noun for what shows the numbers.
        remedy: the remedy in the error message.
    """
    size = 4 * 64 * numbers_per_lifetime / 2**30
    problem = f"{label} show {numbers_per_lifetime:,} numbers in a lifetime: {size:,.1f} GiB for every block of 64."
    require(size <= MAX_OBSERVATION_GIB, problem, remedy)
