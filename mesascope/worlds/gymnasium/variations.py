"""How tasks of an outside environment vary: by ranges as one types them, or by a user's function."""

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.guards import gate

Drawn = dict[str, Any]
EXAMPLE = "length=0.4..0.6+map_name=4x4/8x8"


class Range(NamedTuple):
    """Values of one keyword: those listed, or evenly from low to high, whole numbers where both ends are."""

    listed: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0

    def draw(self, rng: np.random.Generator) -> Any:
        """One value."""
        if self.listed:
            return self.listed[int(rng.integers(len(self.listed)))]
        if isinstance(self.low, int) and isinstance(self.high, int):
            return int(rng.integers(self.low, self.high + 1))
        return float(rng.uniform(self.low, self.high))


def parse_ranges(text: str, what: str) -> dict[str, Range]:
    """'a=1..2+b=x/y' as ranges by keyword.

    Raises:
        MesascopeError: a part without '=', or a range that runs backwards.
    """
    out: dict[str, Range] = {}
    for part in filter(None, (p.strip() for p in text.split("+"))):
        key, equals, value = part.partition("=")
        if not equals or not key or not value or key in out:
            raise MesascopeError(
                f"{part!r} in {what}={text!r} is no keyword with values.", f"Type e.g. {what}={EXAMPLE}."
            )
        low, dots, high = value.partition("..")
        ends = [_literal(low), _literal(high)] if dots else []
        if dots and all(isinstance(e, int | float) and not isinstance(e, bool) for e in ends):
            if not ends[0] <= ends[1]:
                raise MesascopeError(
                    f"{value} in {what}={text!r} runs backwards.", f"Type {key}={high}..{low}."
                )
            out[key] = Range((), *ends)
        else:
            out[key] = Range(tuple(_literal(v) for v in value.split("/")))
    return out


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def find_function(path: str) -> Callable[[np.random.Generator, str], Mapping[str, Any]]:
    """The user's function 'module:function'.

    Raises:
        MesascopeError: there is no such module or function, or only a file names it.
    """
    remedy = "Name it as package.module:function, from the folder where it can be imported."
    return check_function(gate.find_function(path, "The function of tasks", remedy), path)


def check_function(function: Any, name: str) -> Callable[[np.random.Generator, str], Mapping[str, Any]]:
    """A function of (rng, split).

    Raises:
        MesascopeError: it is none, or takes something else.
    """
    try:
        inspect.signature(function).bind(None, "fresh")
    except (TypeError, ValueError):
        raise MesascopeError(
            f"{name} is no function of (rng, split).",
            "It takes a NumPy generator and a split's name, and returns the keywords of one task.",
        ) from None
    return function


def draw_task(function: Callable[..., Any], name: str, rng: np.random.Generator, split: str) -> Drawn:
    """One task of a user's function.

    Raises:
        MesascopeError: it raised, or returned no keywords.
    """
    try:
        told = function(rng, split)
    except Exception as error:
        raise MesascopeError(
            f"{name} raised {type(error).__name__} on {split!r}: {error}.", "Mend it."
        ) from error
    if not isinstance(told, Mapping) or not all(isinstance(k, str) for k in told):
        raise MesascopeError(
            f"{name} returned {type(told).__name__} on {split!r}.",
            "Return a dict of keywords for gymnasium.make.",
        )
    return gate.call_drawer(dict(told))
