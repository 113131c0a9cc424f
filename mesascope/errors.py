"""Defines the exception for users' mistakes; its message states the problem, and what to type or change."""

import difflib
import re
from collections.abc import Collection, Iterable

from mesascope.guards.secrecy import redact

DOUBLED_FULL_STOP = re.compile(r"(?<![.])[.]{2}(?=\s|$)")  # a quoted message may already end with a full stop


class MesascopeError(Exception):
    """The error for a user's mistake or for a plug-in that breaks its contract; secrets in its text are masked.

    Args:
        problem: a sentence that says what is wrong.
        remedy: a sentence that says what to type or change; '' if there is no remedy.
    """

    def __init__(self, problem: str, remedy: str = ""):
        self.problem, self.remedy = (DOUBLED_FULL_STOP.sub(".", redact(text)) for text in (problem, remedy))
        super().__init__(f"{self.problem} {self.remedy}".strip())

    def __reduce__(self) -> tuple:
        return type(self), (self.problem, self.remedy)  # so that the error can be pickled


class MesascopeWarning(UserWarning):
    """A warning for readers of the results; the command line prints it on standard error."""


def describe_error(error: BaseException) -> str:
    """Describes an error by its type and its message's first paragraph, or a remedy if JAX cannot trace the code."""
    name = type(error).__name__
    if name.startswith("Tracer") or name == "ConcretizationTypeError":
        return (
            f"{name}: the code needs the value of an array while JAX traces it, as Python's if, int() and NumPy do; "
            "use jnp.where, select or jax.lax.cond instead"
        )
    return f"{name}: {str(error).partition(chr(10) * 2)[0]}".removesuffix(": ")


MAX_LISTED_NAMES = 150  # a message lists at most this many names


def make_unknown_name_error(kind: str, name: str, options: Iterable[str]) -> MesascopeError:
    """Makes the error for an unknown name; its remedy lists similar names, and all names if there are at most 150."""
    options = sorted(options)
    similar = difflib.get_close_matches(name, options, n=3)
    suggestion = f"Did you mean {' or '.join(repr(c) for c in similar)}? " if similar else ""
    listing = f"There are: {', '.join(options) or 'none'}."
    if len(options) > MAX_LISTED_NAMES:
        listing = f"There are {len(options)}: mesascope list shows them."
    return MesascopeError(f"There is no {kind} {name!r}.", f"{suggestion}{listing}")


def require_known_name(kind: str, name: str, options: Collection[str]) -> str:
    """Returns the name if it is one of the options; otherwise raises a `MesascopeError` that lists similar names."""
    if name not in options:
        raise make_unknown_name_error(kind, name, options)
    return name


def require(is_met: bool, problem: str, remedy: str) -> None:
    """Raises `MesascopeError` with this problem and remedy unless `is_met` is true."""
    if not is_met:
        raise MesascopeError(problem, remedy)
