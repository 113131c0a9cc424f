"""Reads the tables of a plan; every mistake is told with what to write."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mesascope.errors import MesascopeError, pick_named
from mesascope.guards import limits


def text_list(told: Mapping[str, Any], key: str, where: str) -> list[str]:
    """A list of texts that must not be empty."""
    got = told.get(key)
    if not isinstance(got, list) or not got or not all(isinstance(x, str) for x in got):
        raise MesascopeError(
            f"A panel or quantity of {where} has no list {key!r}.", f'Write {key} = ["NAME"].'
        )
    return got


def read_toml(path: Path) -> dict[str, Any]:
    """A file of a study."""
    try:
        return tomllib.loads(limits.read(path, limits.SETTINGS).decode())
    except FileNotFoundError:
        raise MesascopeError(
            f"There is no {str(path)!r}.", "A study has plan.toml and expects.toml."
        ) from None
    except (ValueError, RecursionError) as error:
        raise MesascopeError(f"{str(path)!r} is no TOML: {error}.", "Mend it there.") from None


def check_keys(told: Any, keys: Sequence[str], where: str) -> None:
    """Raises where a table has a key that means nothing."""
    if not isinstance(told, Mapping):
        raise MesascopeError(f"{where} is no table.", f"Its keys are {', '.join(keys)}.")
    for key in told:
        pick_named(f"key in {where}", key, keys)


def table(plan: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """A table of the plan, empty where it is not there."""
    told = plan.get(key, {})
    if not isinstance(told, Mapping):
        raise MesascopeError(f"{key} in {where} is no table.", f"Write [{key}].")
    return told


def number(plan: Mapping[str, Any], key: str, where: str) -> float:
    """A number of the plan."""
    if not isinstance(plan.get(key), int | float):
        raise MesascopeError(f"{where} has no number {key!r}.", f"Write {key} = 3, say.")
    return plan[key]
