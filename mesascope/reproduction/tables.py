"""Reads the tables of a plan. Every error message contains what the user should write.

In each function, the argument `location` is the file or table that error messages name.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mesascope.errors import MesascopeError, require, require_known_name
from mesascope.guards import limits


def read_texts(table: Mapping[str, Any], key: str, location: str) -> list[str]:
    """Reads a list of texts; raises `MesascopeError` if the list is missing or empty."""
    texts = table.get(key)
    if not isinstance(texts, list) or not texts or not all(isinstance(x, str) for x in texts):
        raise MesascopeError(f"A panel or quantity of {location} has no list {key!r}.", f'Write {key} = ["NAME"].')
    return texts


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file of a study; raises `MesascopeError` if the file is missing or is not TOML."""
    try:
        return tomllib.loads(limits.read_file(path, limits.MAX_SETTINGS_BYTES).decode())
    except FileNotFoundError:
        raise MesascopeError(f"There is no {str(path)!r}.", "A study has plan.toml and expects.toml.") from None
    except (ValueError, RecursionError) as error:
        raise MesascopeError(f"{str(path)!r} is not TOML: {error}.", "Correct it there.") from None


def check_keys(table: Any, keys: Sequence[str], location: str) -> None:
    """Raises `MesascopeError` if a table has an unknown key."""
    require(isinstance(table, Mapping), f"{location} is not a table.", f"Its keys are {', '.join(keys)}.")
    for key in table:
        require_known_name(f"key in {location}", key, keys)


def read_table(plan: Mapping[str, Any], key: str, location: str) -> Mapping[str, Any]:
    """Reads a table of the plan; an absent table is empty."""
    entry = plan.get(key, {})
    require(isinstance(entry, Mapping), f"{key} in {location} is not a table.", f"Write [{key}].")
    return entry


def read_number(plan: Mapping[str, Any], key: str, location: str) -> float:
    """Reads a number of the plan; raises `MesascopeError` if there is none."""
    number = plan.get(key)
    require(isinstance(number, int | float), f"{location} has no number {key!r}.", f"Write, for example, {key} = 3.")
    return plan[key]
