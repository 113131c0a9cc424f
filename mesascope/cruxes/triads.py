"""Imports and exports triads as CSV with the columns of the Forecasting Research Institute (FRI).

A triad is P(U), P(C) and P(U | C), for a target U and a crux C.
"""

import csv
import io
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.influence import find_triads, list_cruxes, pick_single_triad
from mesascope.cruxes.information import compute_discrimination_value, compute_information_value, find_complement
from mesascope.errors import MesascopeError, require

COLUMNS = ("person", "Camp", "ID", "PU", "Pc", "PUc")
MISSING_MARKS = ("", "NA", "NaN", "nan")


@dataclass(frozen=True)
class TriadRow:
    """One triad as the FRI writes it: person, camp, crux, P(U), P(C) and P(U | C)."""

    person: str
    camp: str
    crux: str
    pu: float
    pc: float
    puc: float

    @property
    def triad(self) -> tuple[float, float, float]:
        """The three numbers as (P(U), P(U | C), P(C))."""
        return self.pu, self.puc, self.pc


def write_triads(argument: Argument, crux: str | None = None) -> str:
    """Writes every person's triads for the file's target as CSV with the columns person, Camp, ID, PU, Pc, PUc.

    Args:
        argument: the crux file, as `load_argument` returns it.
        crux: the only crux to write; by default every candidate.

    Everybody is asked the same question. Triads that the claims do not determine are left out, because the columns
    hold single numbers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    target, condition = argument.choose_common_question(list(argument.content.people))
    for person in argument.content.people:
        names = {crux: argument.parse_event(crux)} if crux else list_cruxes(argument, person, target, condition)
        for name, event in names.items():
            try:
                triad = pick_single_triad(find_triads(argument, person, event, target, condition))
            except MesascopeError:
                continue
            if triad is None:
                continue
            pu, puc, pc = map(repr, triad)
            camp = " / ".join(argument.content.people[person].scope)
            writer.writerow([person, camp, name, pu, pc, puc])
    return text.getvalue()


@dataclass(frozen=True)
class ExcludedRow:
    """A row that was excluded: its line in the file, and the reason."""

    line: int
    reason: str


def read_triads(text: str, should_keep_decisive_rows: bool = True) -> tuple[list[TriadRow], list[ExcludedRow]]:
    """Reads triads from CSV with the columns of the FRI.

    Args:
        text: the CSV text.
        should_keep_decisive_rows: whether to keep rows in which an outcome of the crux makes the target certain or
            impossible. The FRI's own analysis leaves these rows out, because its formula takes the log of 0.

    Returns:
        - The usable rows.
        - The excluded rows. A row is excluded if a number is missing, if the three numbers contradict each other or,
          without `should_keep_decisive_rows`, if an outcome makes the target certain or impossible.

    Raises:
        MesascopeError: a number is not a probability.
    """
    reader = csv.DictReader(io.StringIO(text))
    columns = list(reader.fieldnames or [])
    is_complete = set(columns) >= set(COLUMNS) - {"Camp"}
    require(is_complete, f"The CSV has the columns {columns!r:.120}.", f"Needed: {', '.join(COLUMNS)}.")
    rows, left_out = [], []
    try:
        for line in reader:
            values = [_read_probability(line[column], column, reader.line_num) for column in ("PU", "Pc", "PUc")]
            pu, pc, puc = values
            if pu is None or pc is None or puc is None:
                left_out.append(ExcludedRow(reader.line_num, "a number is missing"))
                continue
            row = TriadRow(line["person"] or "", line.get("Camp") or "", line["ID"] or "", pu, pc, puc)
            if reason := _find_fault(row, should_keep_decisive_rows):
                left_out.append(ExcludedRow(reader.line_num, reason))
            else:
                rows.append(row)
    except csv.Error as error:
        raise MesascopeError(f"CSV line {reader.line_num}: {error}.", "Write plain text.") from None
    require(bool(rows), "The CSV has no usable rows.", "Add one row per person and crux.")
    return rows, left_out


def _find_fault(row: TriadRow, should_keep_decisive_rows: bool) -> str:
    try:
        complement = find_complement(row.pu, row.puc, row.pc)
    except MesascopeError:
        return "the numbers contradict each other"
    changes = row.pu > 0 and row.puc != row.pu
    is_certain = complement in (0.0, 1.0) or row.puc in (0.0, 1.0)
    return "an outcome makes the target certain" if changes and is_certain and not should_keep_decisive_rows else ""


def _read_probability(text: str | None, column: str, line: int) -> float | None:
    """Reads a probability; None if it is missing."""
    if (text or "").strip() in MISSING_MARKS:
        return None
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    problem = f"CSV line {line}: {column} is {text!r:.40}, not a probability."
    require(0 <= value <= 1, problem, "Write a number between 0 and 1, or NA.")
    return value


@dataclass(frozen=True)
class TriadValue:
    """The value of a crux to one person (information) or to two people (discrimination).

    Args:
        crux, people, camps: the names of the crux, of the people and of each person's camp.
        value: the value, in the units of the logarithm's base (base 2: bits); None if it cannot be computed.
        note: the reason why there is no value, or ''.
    """

    crux: str
    people: tuple[str, ...]
    camps: tuple[str, ...]
    value: float | None
    note: str = ""

    @property
    def kind(self) -> str:
        """'information' for one person, 'discrimination' for two."""
        return "information" if len(self.people) == 1 else "discrimination"


def compute_triad_values(rows: list[TriadRow], base: float = 10.0) -> list[TriadValue]:
    """Computes each row's value of information, and the value of discrimination of every two people on the same crux.

    Args:
        rows: the triads, as `read_triads` returns them.
        base: the base of the logarithm.
    """
    pairs = [(a, b) for a, b in itertools.combinations(rows, 2) if a.crux == b.crux and a.person != b.person]
    values = []
    for members in (*((row,) for row in rows), *pairs):
        value, note = None, ""
        try:
            if len(members) == 1:
                value = float(compute_information_value(*members[0].triad, base))
            else:
                value = compute_discrimination_value(members[0].triad, members[1].triad, base)
        except MesascopeError as error:
            note = error.problem
        people, camps = tuple(m.person for m in members), tuple(m.camp for m in members)
        values.append(TriadValue(members[0].crux, people, camps, value, note))
    return values


def find_camp_medians(values: Iterable[TriadValue]) -> dict[str, dict[str, float]]:
    """Finds the median value of each crux: of information for each camp, of discrimination for each pair of camps.

    The median is R's quantile of type 1: the lower of the two middle values, as the FRI takes it.

    Returns, by crux, the median of each camp ('Concerned') and of each pair of camps ('Concerned / Skeptical').
    """
    groups: dict[str, dict[str, list[float]]] = {}
    for v in values:
        is_within = len(set(v.camps)) < len(v.camps)
        if v.value is not None and v.value == v.value and all(v.camps) and not is_within:
            groups.setdefault(v.crux, {}).setdefault(" / ".join(sorted(v.camps)), []).append(v.value)
    return {crux: {camp: median_low(x) for camp, x in sorted(by_camp.items())} for crux, by_camp in groups.items()}
