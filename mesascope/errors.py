"""The one exception that a user's mistake raises: what is wrong, what is there, what to type."""

import difflib
import re
from collections.abc import Collection, Iterable

from mesascope.guards.secrecy import redact

TWO_STOPS = re.compile(r"(?<![.])[.]{2}(?=\s|$)")  # a quoted message may end with its own


class MesascopeError(Exception):
    """A user's mistake or a broken contract; it tells no secret of what it was told.

    Args:
        problem: what is wrong, in one sentence.
        remedy: what to type or change, in one sentence.
    """

    def __init__(self, problem: str, remedy: str = ""):
        self.problem, self.remedy = (TWO_STOPS.sub(".", redact(text)) for text in (problem, remedy))
        super().__init__(f"{self.problem} {self.remedy}".strip())

    def __reduce__(self) -> tuple:
        return type(self), (self.problem, self.remedy)  # another process may have raised it


class MesascopeWarning(UserWarning):
    """What a reader of the numbers must know, said on standard error by the command line."""


def describe(error: BaseException) -> str:
    """What an exception says: its type and the first paragraph of its message, or a remedy where JAX cannot trace."""
    name = type(error).__name__
    if name.startswith("Tracer") or name == "ConcretizationTypeError":
        return (
            f"{name}: it needs the value of an array while JAX traces it, as Python's if, int() and NumPy do; "
            "use jnp.where, select or jax.lax.cond instead"
        )
    return f"{name}: {str(error).partition(chr(10) * 2)[0]}".removesuffix(": ")


MANY = 150  # names that a message does not list


def unknown(kind: str, name: str, options: Iterable[str]) -> MesascopeError:
    """The error for a name that does not exist: the nearest names and all that there are."""
    options = sorted(options)
    close = difflib.get_close_matches(name, options, n=3)
    guess = f"Did you mean {' or '.join(repr(c) for c in close)}? " if close else ""
    listing = f"There are: {', '.join(options) or 'none'}."
    if len(options) > MANY:
        listing = f"There are {len(options)}: mesascope list shows them."
    return MesascopeError(f"There is no {kind} {name!r}.", f"{guess}{listing}")


def pick_named(kind: str, name: str, options: Collection[str]) -> str:
    """The name itself, if it is among those known; otherwise the error raised names the nearest of them."""
    if name not in options:
        raise unknown(kind, name, options)
    return name


def require(condition: bool, problem: str, remedy: str) -> None:
    """Raise `MesascopeError` unless the condition holds."""
    if not condition:
        raise MesascopeError(problem, remedy)
