"""Reads any source of a log into a pandas table that keeps the line number of each row."""

import codecs
import csv
import importlib.util
import io
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.guards import limits

if TYPE_CHECKING:
    import pandas as pd

LOG_FORMATS = ".csv, .tsv, .txt, .jsonl and .parquet"
SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space"}
MAX_SAMPLE_BYTES = 1 << 20
EXAMPLE_LINE = '{"participant": 1, "trial": 1, "choice": 0, "reward": 1}'
NETCDF_REMEDY = "Trials that mesascope wrote end in .nc; save other data as .csv."
SURROGATE_PATTERN = re.compile("[\ud800-\udfff]")  # half a character, encoded alone
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),  # before UTF-16, whose marks begin them
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
}
FILE_SIGNATURES = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "Save the sheet as .csv."),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "Save the sheet as .csv."),
    b"\x1f\x8b": ("compressed with gzip", "Unpack it with gunzip first."),
    b"\x89HDF": ("an HDF5 or netCDF file", NETCDF_REMEDY),
    b"CDF": ("a netCDF file", NETCDF_REMEDY),
    b"%PDF": ("a PDF document", "Save its table as .csv."),
}


@dataclass(frozen=True)
class Table:
    """The rows of a log.

    Args:
        frame: the rows; the columns have the distinct names of the header.
        name: the quoted name of the file, or the kind of object, for messages.
        row_word: the word for a row in messages: 'line' or 'row'.
        first_row: the number of the first row.
        notes: how the source was read, one sentence each.
    """

    frame: "pd.DataFrame"
    name: str
    row_word: str
    first_row: int
    notes: tuple[str, ...] = ()

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return [str(c) for c in self.frame.columns]

    def describe_cell(self, row: int, column: str) -> str:
        """Describes the position of a cell, such as "line 4, column 'choice'"."""
        return f"{self.describe_row(row)}, column {quote(column)}"

    def describe_row(self, row: int) -> str:
        """Describes the position of a row: 'line 4', or 'row 2 (counted from 0)' if the source has no lines."""
        number = int(self.frame.index[row]) + self.first_row
        return f"{self.row_word} {number}" + (" (counted from 0)" if self.row_word == "row" else "")

    def refuse(self, is_bad: np.ndarray, column: str, problem: str, remedy: str) -> None:
        """Raises MesascopeError for the first bad row, if there is one.

        Args:
            is_bad: [rows] whether each row is bad.
            column: the column with the bad cells.
            problem: the message, in which {place} stands for the position of the first bad cell, {cell} for its
                content, and {rows} for the number of bad rows.
            remedy: what the user should do.
        """
        if is_bad.any():
            row = int(np.flatnonzero(is_bad)[0])
            cell, rows = quote(self.frame[column].iloc[row]), count_noun(int(is_bad.sum()), "such row")
            raise MesascopeError(problem.format(place=self.describe_cell(row, column), cell=cell, rows=rows), remedy)


def quote(value: Any, max_length: int = 60) -> str:
    """Quotes, escapes and shortens a cell or a name for a message."""
    text = str(value)
    return repr(text) if len(text) <= max_length else f"{text[:max_length]!r}…"


def count_noun(number: int, noun: str) -> str:
    """Formats a number with its noun, such as '1 row' or '2,000 rows'."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def list_names(names: Sequence[Any], limit: int = 12) -> str:
    """Lists the first `limit` names, escaped, and the number of further names."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return (", ".join(quote(n) for n in names[:limit]) or "none") + more


def open_table(source: Any) -> Table:
    """Reads any source of a log into a table.

    Args:
        source: the path of a .csv, .tsv, .txt, .jsonl or .parquet file; or a pandas DataFrame.

    Raises:
        MesascopeError: the source is not a log that can be read; the message says what it is, and what to give.
    """
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return _read_frame(source, "the DataFrame")
    if not isinstance(source, (str, os.PathLike)):
        remedy = f"Give the path of a file ({LOG_FORMATS}), a pandas DataFrame or an xarray Dataset."
        raise MesascopeError(f"A log cannot be read from a {type(source).__name__}.", remedy)
    path = Path(os.fsdecode(source))
    start = _read_start(path)
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq") or start[:4] == b"PAR1":
        return _read_parquet(path)
    for signature, (contents, remedy) in FILE_SIGNATURES.items():
        if start.startswith(signature):
            raise MesascopeError(f"{quote(path.name)} is {contents}.", remedy)
    if suffix in (".jsonl", ".ndjson"):
        return _read_lines(path, start)
    if suffix in (".csv", ".tsv", ".txt", ".tab", ".dat"):
        return _read_separated(path, start)
    if suffix == ".nc":
        problem = f"{quote(path.name)} is not a netCDF file."
        raise MesascopeError(problem, "Name a .nc file that mesascope wrote, or a log.")
    raise MesascopeError(
        f"{quote(path.name)} ends in {quote(suffix) if suffix else 'nothing'}, which is not a known format of logs.",
        f"Logs are {LOG_FORMATS}: rename it, or save it as one of them.",
    )


def _read_start(path: Path) -> bytes:
    """Reads the first bytes of a file; raises MesascopeError if it cannot be read or is empty."""
    try:
        if path.is_dir():
            kinds = (".csv", ".tsv", ".jsonl", ".parquet")
            logs = sorted(p.name for p in path.iterdir() if p.suffix.lower() in kinds)
            problem = f"{quote(str(path))} is a directory."
            raise MesascopeError(problem, f"Name one file in it; the logs in it that can be read: {list_names(logs)}.")
        if not path.is_file():
            problem = f"There is no file {quote(str(path), 200)}."
            raise MesascopeError(problem, f"Name a log that exists: {LOG_FORMATS}.")
        with path.open("rb") as file:
            start = file.read(MAX_SAMPLE_BYTES)
    except (OSError, ValueError) as error:
        problem = f"{quote(str(path), 200)} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise MesascopeError(problem, "Check its name and your right to read it.") from None
    if not start.strip():
        raise MesascopeError(f"{quote(path.name)} is empty.", "A log needs a line of column names and rows under it.")
    return start


def _detect_encoding(start: bytes, file_name: str) -> str:
    """Detects the codec that decodes a text.

    Raises:
        MesascopeError: the file contains no text.
    """
    for mark, codec in BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return codec
    head = start[:4000]
    for codec, holes in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(holes) > 3 and holes.count(0) > 0.9 * len(holes) and head.count(0) < 1.1 * len(holes):
            return codec
    n_control = sum(head.count(c) for c in range(32) if c not in (9, 10, 11, 12, 13, 27))
    if head.count(0) > 3 or n_control > 0.05 * len(head):
        raise MesascopeError(f"{quote(file_name)} contains binary data, not text.", f"Logs are {LOG_FORMATS}.")
    return "utf-8"


def _read_header(start: bytes, codec: str, path: Path) -> tuple[list[str], str, int, list[str]]:
    """Reads the column names ('' for a column without a name), the separator and the number of lines before the rows.

    Returns these three, and notes.
    """
    is_complete = len(start) < MAX_SAMPLE_BYTES
    text = codecs.getincrementaldecoder(codec)().decode(start, final=is_complete)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[: None if is_complete else -1]
    if not lines:
        problem = f"The first line of {quote(path.name)} is longer than a megabyte."
        raise MesascopeError(problem, "A log has a line of column names and one line per trial.")
    skip = 0
    while skip < len(lines) and (not lines[skip].strip() or lines[skip].startswith(("#", "sep="))):
        skip += 1
    if skip == len(lines):
        raise MesascopeError(f"{quote(path.name)} contains only comments.", "Put the column names above the rows.")
    first_separator = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    separator, rows, header_lines = first_separator, [[]], 0
    for candidate in (first_separator, *(c for c in SEPARATORS if c != first_separator)):
        if candidate == " " and len(rows[0]) > 1:
            break
        candidate_rows, lines_read = [], 0
        reader = csv.reader(io.StringIO("\n".join(lines[skip : skip + 40])), delimiter=candidate)
        try:
            for row in reader:
                lines_read = lines_read or reader.line_num
                candidate_rows.append(row)
        except csv.Error as error:
            problem = f"Line {skip + reader.line_num} of {quote(path.name)} is not a line of a table: {error}."
            raise MesascopeError(problem, "Every line needs the columns that the first one names.") from None
        if len(candidate_rows[0]) > len(rows[0]):
            separator, rows, header_lines = candidate, candidate_rows, lines_read
    names, body = rows[0], [r for r in rows[1:] if len(r) > 1]
    notes = [f"{skip} lines above the column names were skipped."] if skip else []
    if body and all(len(r) == len(names) + 1 for r in body):
        if all(not r[-1].strip() for r in body):  # a separator ends every row
            names = [*names, ""]
        else:
            names = ["", *names]
            notes.append("The first column has no name (row names).")
    return names, separator, skip + header_lines, notes


def _read_separated(path: Path, start: bytes) -> Table:
    """Reads a text with separated columns, without interpreting codes for empty cells."""
    import pandas as pd

    codec = _detect_encoding(start, path.name)
    encoding = "-".join(codec.upper().split("-")[:2])
    for attempt in (codec, "latin-1") if codec == "utf-8" else (codec,):
        try:
            names, separator, skip, notes = _read_header(start, attempt, path)
            _check_size(names, 1, path.name)
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                frame = pd.read_csv(
                    path,
                    sep=separator,
                    names=list(range(len(names))),
                    skiprows=skip,
                    na_filter=False,
                    skip_blank_lines=False,
                    index_col=False,
                    encoding=attempt,
                    low_memory=False,
                )
            break
        except UnicodeError:
            encoding = "Latin-1, because it is not UTF-8"
        except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError) as error:
            problem = str(error).splitlines()[0].replace("Error tokenizing data. C error: ", "")
            if isinstance(error, pd.errors.ParserWarning):
                problem = f"line {skip + 1} has more fields than the {len(names)} columns that are named"
            raise MesascopeError(
                f"{quote(path.name)} cannot be read as {len(names)} columns with a "
                f"{SEPARATORS[separator]} between them: {quote(problem, 200)[1:-1]}.",
                "Give every line the columns of the first one, and quote cells that contain the separator.",
            ) from None
    else:  # latin-1 decodes every byte, so this text is not valid UTF-16 or UTF-32
        raise MesascopeError(f"{quote(path.name)} begins as {codec} and is not valid {codec}.", "Save it as UTF-8.")
    if all(frame[name].dtype.kind not in "iufb" for name in frame):  # a blank line leaves no column numeric
        is_blank = np.logical_and.reduce([frame[name].str.strip().eq("").to_numpy(bool) for name in frame])
        frame = frame.loc[~is_blank]
    notes.append(f"Text in {encoding}, columns separated by a {SEPARATORS[separator]}.")
    names = [n.strip().lstrip("\ufeff") for n in names]
    return _make_table(frame, names, quote(path.name), "line", skip + 1, notes=notes)


def _read_lines(path: Path, start: bytes) -> Table:
    """Reads one JSON object per line."""
    import pandas as pd

    try:
        text = path.read_bytes().decode(_detect_encoding(start, path.name))
    except UnicodeDecodeError:
        raise MesascopeError(f"{quote(path.name)} is not UTF-8 text.", "Save it as UTF-8.") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:  # parsing all lines together is three times as fast, but does not locate errors
        rows = json.loads(f"[{','.join(line for _, line in lines)}]")
    except (ValueError, RecursionError):
        rows = []
    if len(rows) != len(lines) or not all(type(row) is dict for row in rows):
        rows = [_parse_object(line, number, path.name) for number, line in lines]
    if "\\ud" in text.lower():  # an escaped half of a character, which text cannot contain
        for (number, _), row in zip(lines, rows, strict=True):
            if any(SURROGATE_PATTERN.search(str(part)) for pair in row.items() for part in pair):
                problem = f"Line {number} of {quote(path.name)} holds half a character, escaped without the rest."
                raise MesascopeError(problem, "Leave it out.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    _check_size(names, len(rows), path.name)
    columns = {i: [row.get(name) for row in rows] for i, name in enumerate(names)}
    frame = pd.DataFrame(columns, index=[number for number, _ in lines])
    return _make_table(frame, names, quote(path.name), "line", 0, notes=[])


def _check_size(header: Sequence[str], n_rows: int, file_name: str) -> None:
    """Raises MesascopeError if a table has too many columns or cells."""
    if len(header) > limits.MAX_COLUMNS or len(header) * n_rows > limits.MAX_CELLS:
        problem = f"{quote(file_name)} has {count_noun(len(header), 'column')} in {count_noun(n_rows, 'row')}."
        raise MesascopeError(problem, "Leave out what is not part of the log.")


def _parse_object(line: str, line_number: int, file_name: str) -> dict[str, Any]:
    """Parses the JSON object on one line; raises MesascopeError if the line is not an object."""
    try:
        row = json.loads(line)
        expected = f"an object but a {type(row).__name__}"
    except json.JSONDecodeError as error:
        row, expected = None, f"JSON: {error.msg} at character {error.colno}"
    except (ValueError, RecursionError):
        row, expected = None, "JSON that can be read: too deep, or a number too long"
    if not isinstance(row, dict):
        problem = f"Line {line_number} of {quote(file_name)} is not {expected}; it begins {quote(line, 40)}."
        raise MesascopeError(problem, f"Write one object per line, such as {EXAMPLE_LINE}.")
    return row


def _read_parquet(path: Path) -> Table:
    """Reads a parquet file with pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        problem = f"{quote(path.name)} is a parquet file, and pyarrow is not installed."
        raise MesascopeError(problem, "Install it: pip install 'mesascope[parquet]'")
    try:
        frame = limits.read_parquet(path).to_pandas()
    except Exception as error:  # pyarrow raises its own errors, OSError or ValueError, depending on its version
        problem = f"{quote(path.name)} is not a complete parquet file: {quote(str(error).splitlines()[0], 160)}."
        raise MesascopeError(problem, "Write it again, or save the log as .csv.") from None
    return _read_frame(frame, quote(path.name))


def _read_frame(frame: "pd.DataFrame", source: str) -> Table:
    """Makes a table from a DataFrame, which does not change; named index levels become columns."""
    levels = [level for level in frame.index.names if level is not None]
    if frame.columns.nlevels > 1:
        problem = f"{source} has {frame.columns.nlevels} levels of column names."
        raise MesascopeError(problem, "Give every column one name.")
    header = [*(str(level) for level in levels), *(str(c) for c in frame.columns)]
    _check_distinct(header, source)
    frame = (frame.reset_index(level=levels) if levels else frame).reset_index(drop=True)
    return _make_table(frame.set_axis(range(frame.shape[1]), axis=1), header, source, "row", 0, notes=[])


def _make_table(
    frame: "pd.DataFrame", header: Sequence[str], source: str, row_word: str, first_row: int, *, notes: Sequence[str]
) -> Table:
    """Makes a table from a frame whose columns are numbered; leaves out columns without a name."""
    _check_distinct(header, source)
    columns = [i for i, name in enumerate(header) if name]
    frame = frame.loc[:, columns].set_axis([header[i] for i in columns], axis=1)
    if frame.empty:
        problem = f"{source} has no rows; its columns are {list_names(list(frame.columns))}."
        raise MesascopeError(problem, "A log needs at least two trials.")
    return Table(frame, source, row_word, first_row, tuple(notes))


def _check_distinct(header: Sequence[str], source: str) -> None:
    """Raises MesascopeError if two columns have the same name."""
    repeated = sorted(n for n, times in Counter(header).items() if n and times > 1)
    if repeated:
        raise MesascopeError(f"{source} has two columns named {list_names(repeated)}.", "Give each its own name.")
