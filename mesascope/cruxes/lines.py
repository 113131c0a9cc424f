"""Finds the line of every entry in a TOML text without parsing the text, so that broken files are indexed too."""

import re
import tomllib
from itertools import islice

MAX_PATH_PARTS = 20
MAX_DIGITS = 4300  # Python's own limit for a decimal integer
_PART_PATTERN = r"(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_\-]+)"
_PATH_PATTERN = rf"({_PART_PATTERN}(?:\s*\.\s*{_PART_PATTERN})*)"
_HEADER_PATTERN = re.compile(rf"\s*(\[\[?)\s*{_PATH_PATTERN}\s*\]\]?\s*(?:#.*)?")
_KEY_PATTERN = re.compile(rf"\s*{_PATH_PATTERN}\s*=")
_FIRST_PART_PATTERN = re.compile(rf"\s*({_PART_PATTERN})")
_TRIPLE_QUOTES = ('"""', "'''")
_STRING_PATTERN = re.compile(r"\"\"\"|'''|\"(?:\\.|[^\"\\])*+(?:\"|$)|'[^']*+(?:'|$)|#.*")
_LONG_PATH_PATTERN = re.compile(rf"(?<![\w\-\"])(?:(?:\"\"|[A-Za-z0-9_\-]+)\s*\.\s*){{{MAX_PATH_PARTS},}}")
_LONG_NUMBER_PATTERN = re.compile(rf"(?<![0-9_])[0-9_]{{{MAX_DIGITS},}}")
_N_STORED_PARTS = 4  # how many leading parts of a path are stored
ENTRY_NAMES = {
    "claims": "claim",
    "people": "person",
    "defs": "definition",
    "bridges": "bridge",
    "cuts": "cut",
    "bottom": "bottom",
    "filings": "filing",
    "evidence": "evidence",
    "hypotheses": "hypotheses",
    "quantities": "quantity",
    "decisions": "decision",
    "independence": "independence",
    "measures": "measure",
}
LIST_ENTRY_NAMES = {"refusals": "refusal", "questions": "question"}
LIST_ENTRY_NAMES |= {"retractions": "retraction", "agreements": "agreement"}
TOP_FIELDS = ("format", "title", "source", "query")

EntryPath = tuple[str, ...]


def format_entry_name(*path: str) -> str:
    """Formats the name of an entry for messages: claim 'd1', refusal 2, [atoms] 'P', or [claims] for a whole table."""
    if not path:
        return "the file"
    table, *rest = (part[:80] for part in path)
    table = table if table.isprintable() else repr(table)
    if not rest or table in TOP_FIELDS:
        return table if table in TOP_FIELDS else f"[{table}]"
    if table in LIST_ENTRY_NAMES and rest[0].isdigit():
        return f"{LIST_ENTRY_NAMES[table]} {int(rest[0]) + 1}"
    return f"{ENTRY_NAMES.get(table, f'[{table}]')} {rest[0]!r}"


class LineIndex:
    """The entry of each line of a TOML text, and the first line of each entry.

    Args:
        text: the text, valid or not; lines end at a line feed, as in TOML.

    Attributes:
        deepest_line: the line with the most deeply nested brackets.
        long_path_line: the first line with a dotted name of more than `MAX_PATH_PARTS` parts; 0 if there is none.
    """

    def __init__(self, text: str):
        self._text = text
        self._start_lines: dict[EntryPath, int] = {}
        # per line: its entry, and the line where the entry starts
        self._entries_by_line: list[tuple[EntryPath, int]] = []
        self.deepest_line, self.long_path_line, depth, max_depth = 1, 0, 0, 0
        header: EntryPath = ()
        counts: dict[EntryPath, int] = {}
        open_quotes, entry = "", (header, 1)
        for number, line in enumerate(text.split("\n"), 1):
            header_match = None
            if not open_quotes and not depth:
                if header_match := _HEADER_PATTERN.fullmatch(line):
                    header = _split_path(header_match.group(2))
                    if header_match.group(1) == "[[":
                        counts[header] = counts.get(header, -1) + 1
                        header = (*header, str(counts[header]))
                    entry = (header, number)
                elif match := _KEY_PATTERN.match(line) or _FIRST_PART_PATTERN.match(line):
                    entry = ((*header, *_split_path(match.group(1))), number)
                else:
                    entry = (header, number)
                for n in range(1, len(entry[0]) + 1):
                    self._start_lines.setdefault(entry[0][:n], number)
            self._entries_by_line.append(entry)
            open_quotes, stripped_line = _remove_texts(line, open_quotes)
            if not self.long_path_line and _LONG_PATH_PATTERN.search(stripped_line):
                self.long_path_line = number
            for bracket in re.findall(r"[\[\]{}]", "" if header_match else stripped_line):
                depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
                if depth > max_depth:
                    self.deepest_line, max_depth = number, depth
        self._is_unclosed = bool(open_quotes or depth)

    def find_start(self, *path: str) -> int:
        """Finds the line where an entry starts; for an unknown entry, the line where its table starts, or 1."""
        for n in range(len(path), 0, -1):
            if path[:n] in self._start_lines:
                return self._start_lines[path[:n]]
        return 1

    def describe_line(self, line: int) -> str:
        """Returns the name of the entry that a line belongs to, for messages."""
        return format_entry_name(*self._entries_by_line[min(line, len(self._entries_by_line)) - 1][0])

    def find_unfinished_line(self) -> int:
        """Finds the line to report if the text ends too early: the start of the unclosed entry, or the last line."""
        return self._entries_by_line[-1][1] if self._is_unclosed else self._text.rstrip().count("\n") + 1

    def find_long_number(self) -> int:
        """Finds the first line with a decimal number too long for Python; 1 if there is none."""
        match = _LONG_NUMBER_PATTERN.search(self._text)
        return self._text.count("\n", 0, match.start()) + 1 if match else 1


def _split_path(path: str) -> EntryPath:
    parts = (match.group() for match in re.finditer(_PART_PATTERN, path))
    return tuple(_unquote(part) for part in islice(parts, _N_STORED_PARTS))


def _unquote(part: str) -> str:
    if part[0] not in "\"'":
        return part
    try:
        return tomllib.loads(f"key = {part}")["key"]  # decodes the escapes
    except tomllib.TOMLDecodeError:
        return part[1:-1]


def _remove_texts(line: str, open_quotes: str) -> tuple[str, str]:
    """Empties quoted texts in a line and removes its comment; returns the quotes that are still open, and the line."""
    pieces, position = [], 0
    while True:
        if open_quotes:
            end = line.find(open_quotes, position)
            if end < 0:
                return open_quotes, "".join(pieces)
            position, open_quotes = end + 3, ""
        match = _STRING_PATTERN.search(line, position)
        pieces.append(line[position : match.start() if match else None])
        if match is None or match.group()[0] == "#":
            return "", "".join(pieces)
        position = match.end()
        open_quotes = match.group() if match.group() in _TRIPLE_QUOTES else ""
        pieces.append('""')
