"""Reads any source of a log as a table: a file, several files, or a DataFrame."""

import gzip
import importlib.util
import json
import os
import re
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mesascope.errors import MesascopeError
from mesascope.guards import limits
from mesascope.logs.separated import MAX_SAMPLE_BYTES, detect_encoding, read_delimited_text
from mesascope.logs.tables import (
    LOG_FORMATS,
    Table,
    check_table_size,
    format_names,
    make_table,
    make_table_from_frame,
    quote,
)

TEXT_FILE_ENDINGS = (".csv", ".tsv", ".txt", ".tab", ".dat", ".htsv")
JSON_LINES_ENDINGS = (".jsonl", ".ndjson")
EXAMPLE_LINE = '{"participant": 1, "trial": 1, "choice": 0, "reward": 1}'
NETCDF_REMEDY = "Trials that mesascope wrote end in .nc; save other data as .csv."
SURROGATE_PATTERN = re.compile("[\ud800-\udfff]")  # a lone surrogate, which is half a character
FILE_SIGNATURES = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "Save the sheet as .csv."),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "Save the sheet as .csv."),
    b"\x1f\x8b": ("compressed with gzip", "Unpack it with gunzip first."),
    b"\x89HDF": ("an HDF5 or netCDF file", NETCDF_REMEDY),
    b"CDF": ("a netCDF file", NETCDF_REMEDY),
    b"%PDF": ("a PDF document", "Save its table as .csv."),
}
GZIP_SIGNATURE = b"\x1f\x8b"


def open_table(source: Any) -> Table:
    """Reads any source of a log into a table.

    Args:
        source: the path of a .csv, .tsv, .txt, .json, .jsonl or .parquet file, which may be packed with gzip; a list of
            such paths; or a pandas DataFrame.

    Raises:
        MesascopeError: the source is not a log that can be read; the message says why, and what the user should do.
    """
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return make_table_from_frame(source, "the DataFrame")
    if isinstance(source, (list, tuple)) and source and all(isinstance(s, (str, os.PathLike)) for s in source):
        return _join_files([Path(os.fsdecode(s)) for s in source])
    if not isinstance(source, (str, os.PathLike)):
        remedy = f"Give the path of a file ({LOG_FORMATS}), a pandas DataFrame or an xarray Dataset."
        raise MesascopeError(f"A log cannot be read from a {type(source).__name__}.", remedy)
    path = Path(os.fsdecode(source))
    if path.suffix.lower() == ".gz" or _read_first_bytes(path).startswith(GZIP_SIGNATURE):
        return _read_gzip(path)
    return _read_file(path)


def _join_files(paths: Sequence[Path]) -> Table:
    """Joins the rows of several files; a new column (`Table.file_column`) contains a label for the file of each row.

    If the files share no column and have equally many rows, they are parts of one table, and their columns are joined.
    The table of a single file is returned without such a column.
    """
    import pandas as pd

    tables = [open_table(path) for path in paths]
    if len(tables) == 1:
        return tables[0]
    name, notes = f"{len(paths)} files", []  # notes must not contain names of files, which may be ids of people
    headers = [set(t.header) for t in tables]
    if len({len(t.frame) for t in tables}) == 1 and sum(map(len, headers)) == len(set().union(*headers)):
        notes.append("They share no column and have equally many rows, so they are read as columns of one table.")
        frames = [t.frame.reset_index(drop=True) for t in tables]
        return Table(pd.concat(frames, axis=1), name, "row", 0, tuple(notes))
    incomplete = sorted(set().union(*headers) - set.intersection(*headers))
    if incomplete:
        notes.append(f"Columns that some of the files lack: {format_names(incomplete)}.")
    subjects = [re.search(r"(?:^|_)sub-([^_.]+)", path.name) for path in paths]  # file names in the BIDS standard
    labels = [path.name.partition(".")[0] for path in paths]
    if all(subjects) and len({m[1] for m in subjects if m}) > 1:
        labels = [m[1] for m in subjects if m]
    labels = labels if len(set(labels)) == len(labels) or all(subjects) else [str(path) for path in paths]
    column = "file" if "file" not in set().union(*headers) else "file of the row"
    frames = [
        t.frame.set_axis(t.frame.index + t.row_offset).assign(**{column: label})
        for t, label in zip(tables, labels, strict=True)
    ]
    return Table(pd.concat(frames), name, tables[0].row_word, 0, tuple(notes), file_column=column)


def _read_gzip(path: Path) -> Table:
    """Unpacks a file into a temporary folder and reads it there."""
    _read_first_bytes(path)
    limit = limits.MAX_SMALL_BYTES + limits.MAX_UNPACKING_RATIO * path.stat().st_size
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / (path.stem if path.suffix.lower() == ".gz" else path.name)
        try:
            with gzip.open(path) as packed, inner.open("wb") as file:
                while part := packed.read(1 << 20):
                    file.write(part)
                    if file.tell() > limit:
                        raise ValueError(f"it unpacks to more than {limit:,} bytes")
        except (OSError, EOFError, ValueError, zlib.error) as error:
            problem = f"{quote(path.name)} is compressed with gzip and cannot be unpacked: {quote(error)[1:-1]}."
            raise MesascopeError(problem, "Unpack it with gunzip first, or write it again.") from None
        return _read_file(inner)


def _read_file(path: Path) -> Table:
    """Reads one unpacked file; its first bytes or its ending show the format."""
    start, suffix = _read_first_bytes(path), path.suffix.lower()
    if suffix in (".parquet", ".pq") or start[:4] == b"PAR1":
        return _read_parquet(path)
    for signature, (contents, remedy) in FILE_SIGNATURES.items():
        if start.startswith(signature):
            raise MesascopeError(f"{quote(path.name)} is {contents}.", remedy)
    if suffix in JSON_LINES_ENDINGS:
        return _read_json_lines(path, start)
    if suffix == ".json":
        return _read_json(path, start)
    if suffix in TEXT_FILE_ENDINGS:
        return read_delimited_text(path, start)
    if suffix == ".nc":
        problem = f"{quote(path.name)} is not a netCDF file."
        raise MesascopeError(problem, "Name a .nc file that mesascope wrote, or a log.")
    raise MesascopeError(
        f"{quote(path.name)} ends in {quote(suffix) if suffix else 'nothing'}, which is not a known format of logs.",
        f"Logs are {LOG_FORMATS}: rename it, or save it as one of them.",
    )


def _read_first_bytes(path: Path) -> bytes:
    """Reads the first bytes of a file; raises MesascopeError if the file cannot be read or is empty."""
    try:
        if path.is_dir():
            kinds = (*TEXT_FILE_ENDINGS, *JSON_LINES_ENDINGS, ".json", ".parquet", ".gz")
            logs = sorted(p.name for p in path.iterdir() if p.suffix.lower() in kinds)
            problem = f"{quote(str(path))} is a directory."
            raise MesascopeError(problem, f"Name files in it; those that can be read: {format_names(logs)}.")
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


def _read_json_lines(path: Path, first_bytes: bytes) -> Table:
    """Reads a file with one JSON object per line."""
    import pandas as pd

    try:
        text = path.read_bytes().decode(detect_encoding(first_bytes, path.name))
    except UnicodeDecodeError:
        raise MesascopeError(f"{quote(path.name)} is not UTF-8 text.", "Save it as UTF-8.") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:  # parsing all lines together is three times as fast, but does not show which line has an error
        rows = json.loads(f"[{','.join(line for _, line in lines)}]")
    except (ValueError, RecursionError):
        rows = []
    if len(rows) != len(lines) or not all(type(row) is dict for row in rows):
        rows = [_parse_object(line, number, path.name) for number, line in lines]
    if "\\ud" in text.lower():  # an escaped surrogate, which is half a character and not valid text
        for (number, _), row in zip(lines, rows, strict=True):
            if any(SURROGATE_PATTERN.search(str(part)) for pair in row.items() for part in pair):
                problem = f"Line {number} of {quote(path.name)} holds half a character, escaped without the rest."
                raise MesascopeError(problem, "Leave it out.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    check_table_size(names, len(rows), path.name)
    columns = {i: [row.get(name) for row in rows] for i, name in enumerate(names)}
    frame = pd.DataFrame(columns, index=[number for number, _ in lines])
    return make_table(frame, names, quote(path.name), "line", 0, notes=[])


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


def _read_json(path: Path, first_bytes: bytes) -> Table:
    """Reads a .json file: a list of objects, a list of such lists, columns as lists by name, or one object per line."""
    import pandas as pd

    problem = f"{quote(path.name)} is not a table in JSON"
    remedy = f"Write a list of objects, one for each trial, such as [{EXAMPLE_LINE}]."
    try:
        text = path.read_bytes().decode(detect_encoding(first_bytes, path.name))
        try:
            document = limits.parse_json(text)
        except json.JSONDecodeError as error:
            if "Extra data" not in error.msg:
                raise
            document = [limits.parse_json(line) for line in text.split("\n") if line.strip()]
        if isinstance(document, dict) and len(document) == 1 and isinstance(next(iter(document.values())), list):
            document = next(iter(document.values()))
        if isinstance(document, dict) and all(isinstance(column, (list, dict)) for column in document.values()):
            return make_table_from_frame(pd.DataFrame(document).reset_index(drop=True), quote(path.name))
        if isinstance(document, list) and all(isinstance(part, list) for part in document):
            document = [{"file": i, **row} for i, rows in enumerate(document, 1) for row in rows]
        if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
            raise MesascopeError(f"{problem}: it contains values that are not objects.", remedy)
    except (ValueError, TypeError) as error:
        raise MesascopeError(f"{problem}: {quote(error, 160)[1:-1]}.", remedy) from None
    names = list(dict.fromkeys(name for row in document for name in row))
    check_table_size(names, len(document), path.name)
    frame = pd.DataFrame({i: [row.get(name) for row in document] for i, name in enumerate(names)})
    return make_table(frame, names, quote(path.name), "row", 0, notes=[])


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
    return make_table_from_frame(frame, quote(path.name))
