"""Draws the keywords of tasks of a Gymnasium environment from ranges that the user typed, or by the user's function."""

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.worlds.gymnasium.environments import describe_env

EXAMPLE_VARIATIONS = "length=0.4..0.6+map_name=4x4/8x8"


class Range(NamedTuple):
    """The possible values of one keyword: either a list, or a range (of whole numbers if both ends are whole)."""

    options: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0

    def draw_value(self, rng: np.random.Generator) -> Any:
        """Draws one of the values uniformly; a range of whole numbers includes both ends."""
        if self.options:
            return self.options[int(rng.integers(len(self.options)))]
        if isinstance(self.low, int) and isinstance(self.high, int):
            return int(rng.integers(self.low, self.high + 1))
        return float(rng.uniform(self.low, self.high))


def parse_ranges(text: str, setting: str) -> dict[str, Range]:
    """Parses the range of each keyword from a text such as 'a=1..2+b=x/y'.

    Raises:
        MesascopeError: a part is not a keyword with values, a keyword occurs twice, or a range starts above its end.
    """
    ranges: dict[str, Range] = {}
    for part in filter(None, map(str.strip, text.split("+"))):
        key, equals, value = part.partition("=")
        if not equals or not key or not value or key in ranges:
            raise MesascopeError(
                f"{part!r} in {setting}={text!r} is not a keyword with values.",
                f"Type e.g. {setting}={EXAMPLE_VARIATIONS}.",
            )
        low, dots, high = value.partition("..")
        ends = [_parse_literal(low), _parse_literal(high)] if dots else []
        if dots and all(isinstance(e, int | float) and not isinstance(e, bool) for e in ends):
            if not ends[0] <= ends[1]:
                raise MesascopeError(
                    f"The range {value} in {setting}={text!r} starts above its end.", f"Type {key}={high}..{low}."
                )
            ranges[key] = Range((), *ends)
        else:
            ranges[key] = Range(tuple(_parse_literal(v) for v in value.split("/")))
    return ranges


def _parse_literal(text: str) -> Any:
    """Converts a Python literal to its value; returns any other text unchanged."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def find_task_function(tasks: Any) -> Callable[[np.random.Generator, str], Mapping[str, Any]]:
    """Finds the user's function that draws tasks; `tasks` is this function, or its name 'module:function'.

    Raises:
        MesascopeError: the module or function does not exist; the function does not take (rng, split); or the name
            comes from a file, and the user did not trust that file.
    """
    function = tasks
    if isinstance(tasks, str):
        remedy = "Give its name as package.module:function, in a folder from which it can be imported."
        function = gate.find_function(tasks, "The function of tasks", remedy)
    try:
        inspect.signature(function).bind(None, "fresh")
    except (TypeError, ValueError):
        raise MesascopeError(
            f"{describe_env(tasks)} is not a function of (rng, split).",
            "Its arguments must be a NumPy generator and a split's name; it must return the keywords of one task.",
        ) from None
    return function


def draw_task(function: Callable[..., Any], rng: np.random.Generator, split: str) -> dict[str, Any]:
    """Draws the keywords of one task with the user's function.

    Raises:
        MesascopeError: the function raised an error, or did not return keywords.
    """
    name = describe_env(function)
    try:
        keywords = function(rng, split)
    except Exception as error:
        raise MesascopeError(
            f"{name} raised {type(error).__name__} on {split!r}: {error}.", "Correct the function."
        ) from error
    if not isinstance(keywords, Mapping) or not all(isinstance(k, str) for k in keywords):
        raise MesascopeError(
            f"{name} returned {type(keywords).__name__} on {split!r}.", "Return a dict of keywords for gymnasium.make."
        )
    return gate.allow_result(dict(keywords))
