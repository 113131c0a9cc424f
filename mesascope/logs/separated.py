"""Reads delimited text files, such as .csv and .tsv."""

import codecs
import csv
import io
import re
import warnings
from pathlib import Path

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.tables import LOG_FORMATS, Table, check_table_size, make_table, quote

MAX_SAMPLE_BYTES = 1 << 20
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),  # must precede UTF-16
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
}
SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space"}


def detect_encoding(first_bytes: bytes, file_name: str) -> str:
    """Detects the encoding of a text from its first bytes, and returns the name of the codec.

    Raises:
        MesascopeError: the file contains no text.
    """
    for mark, codec in BYTE_ORDER_MARKS.items():
        if first_bytes.startswith(mark):
            return codec
    head = first_bytes[:4000]
    for codec, holes in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(holes) > 3 and holes.count(0) > 0.9 * len(holes) and head.count(0) < 1.1 * len(holes):
            return codec
    n_control = sum(head.count(c) for c in range(32) if c not in (9, 10, 11, 12, 13, 27))
    if head.count(0) > 3 or n_control > 0.05 * len(head):
        raise MesascopeError(f"{quote(file_name)} contains binary data, not text.", f"Logs are {LOG_FORMATS}.")
    return "utf-8"


def _read_header(first_bytes: bytes, codec: str, path: Path) -> tuple[list[str], str, int, list[str]]:
    """Reads the first lines of a delimited text file.

    Returns the column names ('' for a column without a name), the separator, the number of lines before the rows, and
    notes.
    """
    is_complete = len(first_bytes) < MAX_SAMPLE_BYTES
    text = codecs.getincrementaldecoder(codec)().decode(first_bytes, final=is_complete)
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
    numbers = [int(n) for n in names if n.strip().isdecimal()]
    has_trial_numbers = len(numbers) > 3 and numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))
    if any(re.fullmatch(r"\s*-?\d+([.,]\d+)?\s*", n) for n in names) and not has_trial_numbers:
        names, header_lines = [f"column {i}" for i in range(1, len(names) + 1)], 0
        notes.append(
            "The first line contains numbers and no names, so the columns are called 'column 1', 'column 2', …"
        )
    return names, separator, skip + header_lines, notes


def read_delimited_text(path: Path, first_bytes: bytes) -> Table:
    """Reads a delimited text file as a table; codes for empty cells, such as 'NA', remain text."""
    import pandas as pd

    codec = detect_encoding(first_bytes, path.name)
    encoding = "-".join(codec.upper().split("-")[:2])
    for attempt in (codec, "latin-1") if codec == "utf-8" else (codec,):
        try:
            names, separator, skip, notes = _read_header(first_bytes, attempt, path)
            check_table_size(names, 1, path.name)
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
    else:  # latin-1 decodes every byte, so only UTF-16 and UTF-32 can fail
        raise MesascopeError(f"{quote(path.name)} begins as {codec} and is not valid {codec}.", "Save it as UTF-8.")
    if all(frame[name].dtype.kind not in "iufb" for name in frame):  # a blank line makes every column text
        is_blank = np.logical_and.reduce([frame[name].str.strip().eq("").to_numpy(bool) for name in frame])
        frame = frame.loc[~is_blank]
    notes.append(f"Text in {encoding}, columns separated by a {SEPARATORS[separator]}.")
    names = [n.strip().lstrip("\ufeff") for n in names]
    return make_table(frame, names, quote(path.name), "line", skip + 1, notes=notes)
