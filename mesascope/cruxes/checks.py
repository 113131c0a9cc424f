"""What is asked of every value that somebody gave."""

from collections.abc import Collection

from mesascope.errors import MesascopeError, unknown


def require(condition: bool, problem: str, remedy: str) -> None:
    """Raise `MesascopeError` unless the condition holds."""
    if not condition:
        raise MesascopeError(problem, remedy)


def choose(kind: str, name: str, known: Collection[str]) -> str:
    """The name itself, if it is among those known; otherwise an error with the nearest of them."""
    if name not in known:
        raise unknown(kind, name, known)
    return name
