"""The one exception that a user's mistake raises: what is wrong, what is there, what to type."""

import difflib
from collections.abc import Collection, Iterable

from mesascope.guards.secrecy import plain


class MesascopeError(Exception):
    """A user's mistake or a broken contract; it tells no secret of what it was told.

    Args:
        problem: what is wrong, in one sentence.
        remedy: what to type or change, in one sentence.
    """

    def __init__(self, problem: str, remedy: str = ""):
        self.problem, self.remedy = plain(problem), plain(remedy)
        super().__init__(f"{self.problem} {self.remedy}".strip())

    def __reduce__(self) -> tuple:
        return type(self), (self.problem, self.remedy)  # another process may have raised it


class MesascopeWarning(UserWarning):
    """What a reader of the numbers must know, said on standard error by the command line."""


MANY = 150  # names that a message does not list


def unknown(kind: str, name: str, known: Iterable[str]) -> MesascopeError:
    """The error for a name that does not exist: the nearest names and all that there are."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    guess = f"Did you mean {' or '.join(repr(c) for c in close)}? " if close else ""
    told = f"There are: {', '.join(known) or 'none'}."
    if len(known) > MANY:
        told = f"There are {len(known)}: mesascope list shows them."
    return MesascopeError(f"There is no {kind} {name!r}.", f"{guess}{told}")


def choose(kind: str, name: str, known: Collection[str]) -> str:
    """The name itself, if it is among those known; otherwise the error raised names the nearest of them."""
    if name not in known:
        raise unknown(kind, name, known)
    return name


def require(condition: bool, problem: str, remedy: str) -> None:
    """Raise `MesascopeError` unless the condition holds."""
    if not condition:
        raise MesascopeError(problem, remedy)
