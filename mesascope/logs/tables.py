"""Defines the table of a log, which keeps the line number of each row, and functions that format names for messages."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.guards import limits

if TYPE_CHECKING:
    import pandas as pd

LOG_FORMATS = ".csv, .tsv, .txt, .json, .jsonl and .parquet, also with .gz"


@dataclass(frozen=True)
class Table:
    """The rows of a log.

    Args:
        frame: the rows; all names of columns are different.
        name: the quoted name of the file, or a name of the source such as 'the DataFrame', for messages.
        row_word: the word for a row in messages: 'line' or 'row'.
        row_offset: the number that messages add to the index of a row in `frame`, to give the line in the file.
        notes: sentences on how the source was read.
        file_column: the name of the column with the file of each row; '' if there is only one file.
        choice_names: the names of all choices in their order; empty if the source does not list them.
    """

    frame: "pd.DataFrame"
    name: str
    row_word: str
    row_offset: int
    notes: tuple[str, ...] = ()
    file_column: str = ""
    choice_names: tuple[str, ...] = ()

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return [str(c) for c in self.frame.columns]

    def describe_cell(self, row: int, column: str) -> str:
        """Describes the position of a cell, such as "line 4, column 'choice'"."""
        return f"{self.describe_row(row)}, column {quote(column)}"

    def describe_row(self, row: int) -> str:
        """Describes the position of a row: 'line 4', or 'row 2 (counted from 0)' if the source is not a text file."""
        number = int(self.frame.index[row]) + self.row_offset
        place = f"{self.row_word} {number}" + (" (counted from 0)" if self.row_word == "row" else "")
        return place + (f" of file {quote(self.frame[self.file_column].iloc[row])}" if self.file_column else "")

    def refuse_bad_rows(self, is_bad: np.ndarray, column: str, problem: str, remedy: str) -> None:
        """Raises MesascopeError for the first bad row, if there is one.

        Args:
            is_bad: [rows] whether each row has a bad cell.
            column: the column with the bad cells.
            problem: the message, in which {place} stands for the position of the first bad cell, {cell} for its
                content, and {rows} for the number of bad rows.
            remedy: what the user should do.
        """
        if is_bad.any():
            row = int(np.flatnonzero(is_bad)[0])
            cell, rows = quote(self.frame[column].iloc[row]), format_count(int(is_bad.sum()), "such row")
            raise MesascopeError(problem.format(place=self.describe_cell(row, column), cell=cell, rows=rows), remedy)


def quote(value: Any, max_length: int = 60) -> str:
    """Quotes, escapes and shortens a cell or a name for a message."""
    text = str(value)
    return repr(text) if len(text) <= max_length else f"{text[:max_length]!r}…"


def format_count(number: int, noun: str) -> str:
    """Formats a number with its noun, such as '1 row' or '2,000 rows'."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def format_names(names: Sequence[Any], limit: int = 12) -> str:
    """Formats names: the first `limit` of them, quoted, and the number of the others; 'none' if there are no names."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return (", ".join(quote(n) for n in names[:limit]) or "none") + more


def make_table_from_frame(frame: "pd.DataFrame", source: str) -> Table:
    """Makes a table from a DataFrame; named index levels become columns. The DataFrame is not changed."""
    levels = [level for level in frame.index.names if level is not None]
    if frame.columns.nlevels > 1:
        problem = f"{source} has {frame.columns.nlevels} levels of column names."
        raise MesascopeError(problem, "Give every column one name.")
    header = [*(str(level) for level in levels), *(str(c) for c in frame.columns)]
    _check_distinct(header, source)
    frame = (frame.reset_index(level=levels) if levels else frame).reset_index(drop=True)
    return make_table(frame.set_axis(range(frame.shape[1]), axis=1), header, source, "row", 0, notes=[])


def make_table(
    frame: "pd.DataFrame", header: Sequence[str], source: str, row_word: str, first_row: int, *, notes: Sequence[str]
) -> Table:
    """Makes a table from a DataFrame with numbered columns and from their names; leaves out columns without a name."""
    _check_distinct(header, source)
    columns = [i for i, name in enumerate(header) if name]
    frame = frame.loc[:, columns].set_axis([header[i] for i in columns], axis=1)
    if frame.empty:
        problem = f"{source} has no rows; its columns are {format_names(list(frame.columns))}."
        raise MesascopeError(problem, "A log needs at least two trials.")
    return Table(frame, source, row_word, first_row, tuple(notes))


def _check_distinct(header: Sequence[str], source: str) -> None:
    """Raises MesascopeError if two columns have the same name."""
    repeated = sorted(n for n, times in Counter(header).items() if n and times > 1)
    if repeated:
        raise MesascopeError(f"{source} has two columns named {format_names(repeated)}.", "Give each its own name.")


def check_table_size(header: Sequence[str], n_rows: int, file_name: str) -> None:
    """Raises MesascopeError if a table has too many columns or cells."""
    if len(header) > limits.MAX_COLUMNS or len(header) * n_rows > limits.MAX_CELLS:
        problem = f"{quote(file_name)} has {format_count(len(header), 'column')} in {format_count(n_rows, 'row')}."
        raise MesascopeError(problem, "Leave out what is not part of the log.")
