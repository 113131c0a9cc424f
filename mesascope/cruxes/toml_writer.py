"""Writes plain data as TOML, one entry per line."""

import json
import re
from collections.abc import Mapping
from typing import Any


def write_toml(data: Mapping[str, Any]) -> str:
    """Writes the fields of a crux file; each table gets a header, and each of its entries gets one line.

    Args:
        data: texts, numbers, lists and tables by name. Empty texts and tables inside an entry are left out.
    """
    lines = [f"{_write_key(k)} = {_write_value(v)}" for k, v in data.items() if not _is_table_or_list(v)]
    for name, table in data.items():
        if isinstance(table, Mapping) and table:
            lines += ["", f"[{_write_key(name)}]", *(f"{_write_key(k)} = {_write_value(v)}" for k, v in table.items())]
        elif _is_table_or_list(table):
            for entry in table:
                lines += ["", f"[[{_write_key(name)}]]"]
                lines += [f"{_write_key(k)} = {_write_value(v)}" for k, v in entry.items()]
    return "\n".join(lines) + "\n"


def _is_table_or_list(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _write_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _write_value(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_write_key(k)} = {_write_value(v)}" for k, v in value.items() if v not in ("", {}))
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_write_value, value))}]"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)  # JSON writes texts and flags as TOML does
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)
