"""Reads the text of a crux file as TOML, with the line of every entry for error messages."""

from __future__ import annotations

import re
import reprlib
import tomllib
from collections.abc import Collection, Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mesascope.cruxes.language import NAME_PATTERN
from mesascope.cruxes.lines import LIST_ENTRY_NAMES, MAX_PATH_PARTS, LineIndex, format_entry_name
from mesascope.errors import MesascopeError, make_unknown_name_error, require, require_known_name

MAX_BYTES = 1_000_000
MAX_ENTRIES = 400
_TYPE_NAMES = {dict: "a table", list: "a list", str: "text", bool: "a yes/no value", int: "a number", float: "a number"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_POSITION_PATTERN = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_text(path: str | Path) -> str:
    """Reads a text file of at most 1 MB in UTF-8; any other file raises `MesascopeError`."""
    path = Path(path)
    try:
        if path.is_dir():
            raise MesascopeError(f"{str(path)!r} is a folder.", "Name a TOML file.")
        if path.stat().st_size > MAX_BYTES:
            raise MesascopeError(f"{str(path)!r} is larger than 1 MB.", "Use a shorter crux file.")
        data = path.read_bytes().removeprefix(_BYTE_ORDER_MARK)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MesascopeError(f"{str(path)!r} cannot be read: {reason}.", "Name an existing TOML file.") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"{path.name}: line {line}: not UTF-8 text: the byte 0x{data[error.start]:02x}."
        raise MesascopeError(problem, "Save it as UTF-8.") from None


class Source:
    """A parsed TOML text with the line of every entry.

    Args:
        text: the file's TOML text.
        name: the file's name, which error messages state.
    """

    def __init__(self, text: str, name: str):
        self.name, self._lines = name, LineIndex(text)
        if self._lines.long_path_line:
            problem = f"a name of more than {MAX_PATH_PARTS} parts"
            raise self._make_error(self._lines.long_path_line, problem, "Shorten it.")
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _POSITION_PATTERN.search(str(error))
            line, column = place.groups() if place else (None, None)
            problem = str(error)[: place.start() if place else None][:200]
            problem += f" (column {column})" if column else " at the end of the file"
            remedy = 'Write one entry per line, with quoted values: value = "~85%".'
            line = int(line) if line else self._lines.find_unfinished_line()
            raise self._make_error(line, f"not TOML: {problem}", remedy) from None
        except (RecursionError, MemoryError):
            raise self._make_error(
                self._lines.deepest_line, "nested too deeply", "Use fewer levels of brackets."
            ) from None
        except (ValueError, OverflowError):
            line = self._lines.find_long_number()
            raise self._make_error(line, "a number that is too long", "Write shorter numbers.") from None

    def _make_error(self, line: int, problem: str, remedy: str) -> MesascopeError:
        return MesascopeError(f"{self.name}: line {line}: {self._lines.describe_line(line)}: {problem}.", remedy)

    def find_line(self, *path: str) -> int:
        """Finds the line where an entry starts; for an unknown entry, the line where its table starts, or 1."""
        return self._lines.find_start(*path)

    @contextmanager
    def locate_errors(self, *path: str) -> Iterator[None]:
        """Makes every error message inside the context start with the file, the line and the entry."""
        try:
            yield
        except MesascopeError as error:
            if error.problem.startswith(f"{self.name}:"):
                raise
            problem, remedy = (x if len(x) <= 400 else f"{x[:400]}…" for x in (error.problem, error.remedy))
            place = f"{self.name}: line {self.find_line(*path)}: {format_entry_name(*path)}"
            raise MesascopeError(f"{place}: {problem}", remedy) from None

    def read_entries(self, name: str) -> dict[str, Any]:
        """Reads the entries of a top-level table by name, or of a list of tables by number; {} if there is no table."""
        is_list = name in LIST_ENTRY_NAMES
        entries = self.data.get(name, [] if is_list else {})
        with self.locate_errors(name):
            if is_list:
                is_valid = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
                require(is_valid, f"This is {describe_value(entries)}, not a list of tables.", f"Write [[{name}]].")
                entries = {str(number): entry for number, entry in enumerate(entries)}
            require(isinstance(entries, dict), f"This is {describe_value(entries)}, not a table.", f"Write [{name}].")
            _require_few_entries(entries, f"There are {len(entries)} entries.")
        for key in [] if is_list else entries:
            with self.locate_errors(name, key):
                remedy = "Names are letters, digits and _, start with a letter, and have at most 64 characters."
                require(bool(NAME_PATTERN.fullmatch(key)), f"The name {key[:80]!r} is not allowed.", remedy)
        return entries


def _require_few_entries(value: Sized, problem: str) -> None:
    require(len(value) <= MAX_ENTRIES, problem, f"At most {MAX_ENTRIES} are possible.")


def describe_value(value: object) -> str:
    """Describes a value of the wrong kind by its type and the start of its text."""
    kind = _TYPE_NAMES.get(type(value), type(value).__name__)
    try:
        return f"{kind} {reprlib.repr(value)[:40]}"
    except ValueError:  # Python refuses to print an integer of so many digits
        return kind


def quote_number(value: object) -> object:
    """Writes a number as text, as if it had been quoted; any other value is returned unchanged."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e12
    return repr(value) if is_number else value


class Fields:
    """One table, read field by field; unknown fields, wrong types and missing required fields are errors.

    Args:
        table: the table to read.
        allowed_names: every field name that the table may have.
    """

    def __init__(self, table: object, allowed_names: Iterable[str]):
        require(
            isinstance(table, dict), f"This is {describe_value(table)}, not a table.", "Write { field = value, … }."
        )
        assert isinstance(table, dict)
        self.table: dict[str, Any] = table
        allowed_names = set(allowed_names)
        for key in table:
            if key not in allowed_names:
                raise make_unknown_name_error("field", str(key)[:80], allowed_names)

    def _require_kind(self, is_valid: bool, key: str, expected: str, example: str) -> None:
        problem = f"The field {key!r} is {describe_value(self.table.get(key))}, not {expected}."
        require(is_valid, problem, f"Write {key} = {example}.")

    def read_field(self, key: str, remedy: str) -> Any:
        """Reads the value of a required field."""
        require(key in self.table, f"The field {key!r} is missing.", remedy)
        return self.table[key]

    def read_text(self, key: str, is_required: bool = False, default: str = "") -> str:
        """Reads a text field, or returns `default` if the field is missing. Control characters are an error."""
        if key not in self.table and not is_required:
            return default
        value = self.read_field(key, f'Add {key} = "…".')
        self._require_kind(isinstance(value, str), key, "text", '"…"')
        require(value.isprintable(), f"The field {key!r} has control characters.", "Remove them.")
        require(len(value) <= 2000, f"The field {key!r} has {len(value)} characters.", "At most 2000 are possible.")
        require(not is_required or bool(value.strip()), f"The field {key!r} is empty.", f'Write {key} = "…".')
        return value

    def read_texts(self, key: str, remedy: str = "") -> tuple[str, ...]:
        """Reads a list of texts, or a single text, as a tuple; with a `remedy`, a missing field is an error."""
        value = self.table.get(key, [])
        value = [value] if isinstance(value, str) else value
        is_valid = isinstance(value, list) and all(isinstance(x, str) and x.isprintable() for x in value)
        self._require_kind(is_valid, key, "a list of texts", '["…"]')
        _require_few_entries(value, f"The field {key!r} has {len(value)} texts.")
        require(bool(value) or not remedy, f"The field {key!r} is missing.", remedy)
        return tuple(value)

    def read_flag(self, key: str, default: bool = False) -> bool:
        """Reads a yes/no field, or returns `default` if the field is missing."""
        value = self.table.get(key, default)
        self._require_kind(isinstance(value, bool), key, "yes or no", f"true or {key} = false")
        return value

    def read_number(self, key: str, default: float) -> float:
        """Reads a number with an absolute value below 1e12, or returns `default` if the field is missing."""
        value = self.table.get(key, default)
        is_valid = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
        self._require_kind(is_valid, key, "a usable number", "0.5")
        return float(value)

    def read_choice(self, key: str, options: Collection[str], default: str) -> str:
        """Reads a text field whose value must be one of the options, or returns `default` if the field is missing."""
        return require_known_name(key, self.read_text(key, default=default), options)

    def read_table(self, key: str) -> dict[str, Any]:
        """Reads a field that is a table, or returns {} if the field is missing."""
        value = self.table.get(key, {})
        self._require_kind(isinstance(value, dict), key, "a table", "{ name = … }")
        _require_few_entries(value, f"The field {key!r} has {len(value)} entries.")
        return value

    def read_groups(
        self, key: str, kind: str, valid_names: Collection[str], example: str
    ) -> tuple[tuple[str, ...], ...]:
        """Reads a field that is a list of lists of valid names, or returns () if the field is missing."""
        value = self.table.get(key, [])
        is_valid = isinstance(value, list) and all(isinstance(group, list) for group in value)
        is_valid = is_valid and all(isinstance(name, str) for group in value for name in group)
        self._require_kind(is_valid, key, "a list of lists of names", example)
        return tuple(tuple(require_known_name(kind, name, valid_names) for name in group) for group in value)

    def read_fields(self, key: str) -> Fields:
        """Reads a field that is a table, in which fields with any name are allowed."""
        table = self.read_table(key)
        return Fields(table, table)
