"""Parses the numbers in names of training tasks, which are 'unlimited', 'bank:M@seed', 'at-most:M' or 'unknown'."""

from mesascope.errors import MesascopeError


def parse_bank(name: str) -> tuple[int, int]:
    """Parses the name of a bank, 'bank:M@seed', and returns its size M and its seed.

    Raises:
        MesascopeError: the name does not have this form, or M is 0.
    """
    size, _, seed = name.removeprefix("bank:").partition("@")
    if not name.startswith("bank:") or not size.isdecimal() or not seed.isdecimal() or not int(size):
        problem = f"{name!r} does not name a bank."
        raise MesascopeError(problem, "Type bank:M@seed, e.g. bank:4@0, at-most:M, unlimited or unknown.")
    return int(size), int(seed)


def parse_task_limit(name: str) -> int:
    """Parses M in 'at-most:M', the largest possible number of training tasks; returns 0 for every other name."""
    kind, _, size = name.partition(":")
    return int(size) if kind == "at-most" and size.isdecimal() else 0
