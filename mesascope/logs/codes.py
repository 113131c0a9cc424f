"""Converts the codes of choices in a log, which are numbers or names, to choices counted from 0."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.columns import COLUMN_NAMES, Roles, format_role_option, normalise_name, parse_numbers, read_cells
from mesascope.logs.tables import Table, quote

MAX_CHOICES = 200
MAX_RARE_ZERO_SHARE = 0.15  # if choices count from 1, a 0 on a larger share of rows is also a choice
MIN_ROWS_FOR_RARE_ZERO = 50  # in a log with fewer rows, a rare 0 is read as a choice
MAX_ODD_SHARE = 0.01  # names among numbers (or numbers among names) are left out if their share of rows is at most this


@dataclass(frozen=True)
class Choices:
    """The choices of a log.

    Args:
        action: [rows] the choice of each row, counted from 0; -1 if the choice is missing.
        n_choices: the number of possible choices.
        names: the names of the choices in the log, in the order of their numbers; empty if the log contains numbers, or
            if lifetimes have separate sets of options.
        notes: sentences on how the codes were read.
    """

    action: np.ndarray
    n_choices: int
    names: tuple[str, ...]
    notes: tuple[str, ...]


def read_choices(table: Table, roles: Roles, n_choices: int | None, missing: Collection[str] = ()) -> Choices:
    """Reads the column of the action as choices counted from 0.

    Args:
        table: the log as a table.
        roles: the columns of the log by role.
        n_choices: the number of choices that the user gives; None if the column shows it.
        missing: the codes, as texts, that mean a missed trial besides the common ones, such as -1 and 'timeout'.

    Raises:
        MesascopeError: no row has a choice; a code is a fraction, infinite, or negative and neither a choice (such as
            -1 beside 1) nor a common code for a missed trial (such as -99); numbers and names both occur, and neither
            are rare; a cell that should flag a missed trial holds another word; there are more choices than 200 or than
            `n_choices`; or all choices are the same and `n_choices` is None.
    """
    column = roles.columns["action"][0]
    codes, values, value_is_empty = read_cells(table, column)
    all_texts = [_format_code(v) for v in values]
    value_is_missing = np.array(
        [t in missing or normalise_name(t) in COLUMN_NAMES["missed_words"] for t in all_texts]
    ) & ~(value_is_empty := value_is_empty | np.array([t == "" for t in all_texts]))
    is_missed = read_flag(table, roles, "missed")
    is_empty = (value_is_empty | value_is_missing)[codes]
    codes_present = np.unique(codes[~is_missed & ~is_empty])
    if not len(codes_present):
        problem = f"Column {quote(column)} contains no choice: all {len(codes):,} cells are empty or on missed trials."
        raise MesascopeError(problem, f"Name the column of the choices: {format_role_option('action')}.")
    texts = [all_texts[i] for i in codes_present]
    counts = (
        np.array([(codes[~is_missed] == i).sum() for i in codes_present]) if len(texts) <= 2 * MAX_CHOICES else None
    )
    numbers = parse_numbers(texts)
    is_odd = _find_odd_codes(numbers, counts)

    def describe_first_bad_cell(is_bad: np.ndarray) -> str:
        """Describes the place and the content of the first cell with a bad code."""
        row = int(np.flatnonzero(~is_missed & np.isin(codes, codes_present[is_bad]))[0])
        return f"{table.describe_cell(row, column)} holds {quote(str(values[codes[row]]).strip())}"

    names: list[str] = []
    zero_notes: list[str] = []
    if np.isnan(numbers[~is_odd]).any():
        names, is_missing_code, notes = _list_choice_names(
            texts, numbers, is_odd, describe_first_bad_cell, table.choice_names
        )
        _check_number_of_choices(len(names), n_choices, column)
        n_total = max(len(names), n_choices or 0)
        index = {name.casefold(): i for i, name in enumerate(names)}
        actions = np.array([index.get(t.casefold(), -1) for t in texts])
    else:
        numbers = np.where(is_odd, -1, numbers)
        is_bad = (numbers != np.round(numbers)) | np.isinf(numbers)
        if is_bad.any():
            raise MesascopeError(
                f"{describe_first_bad_cell(is_bad)}, which is not a whole number; choices are whole numbers or names.",
                f"Correct the cell, or name another column: {format_role_option('action')}.",
            )
        arms = _list_arm_numbers(roles)
        is_zero = np.zeros(len(numbers), bool)
        if arms is None and counts is not None:
            is_zero, zero_notes = _find_missing_zero(table, roles, codes, codes_present, numbers, n_choices)
        rest, is_missing_code = numbers[~is_zero], is_zero | is_odd
        is_missing_code[~is_zero], has_negative_choices = _find_missing_codes(rest, n_choices, describe_first_bad_cell)
        is_missing_code |= is_odd
        codes_used = np.unique(numbers[~is_missing_code])
        _check_number_of_choices(len(codes_used), n_choices, column)
        actions, n_total, notes = _number_codes(numbers, codes_used, has_negative_choices, n_choices, arms)
    if is_missing_code.any():
        pairs = zip(np.array(texts)[is_missing_code], codes_present[is_missing_code], strict=True)
        listing = ", ".join(f"{quote(t)} ({int((codes[~is_missed] == i).sum()):,})" for t, i in pairs)
        notes.append(f"Codes outside the choices, read as missing trials: {listing}.")
    notes += zero_notes
    action_of_code = np.full(len(values), -1, np.int16)
    action_of_code[codes_present] = np.where(is_missing_code, -1, actions)
    action = np.where(is_missed, -1, action_of_code[codes]).astype(np.int16)
    for i in np.flatnonzero(value_is_missing):
        if n := int((codes == i).sum()):
            notes.append(f"Rows with {quote(all_texts[i])} instead of a choice: {n:,}; these trials are missing.")
    if n := int((value_is_empty[codes] & ~is_missed).sum()):
        notes.append(f"Rows without a choice: {n:,}; these trials are missing.")
    if is_missed.any():
        flag, rows = quote(roles.columns["missed"][0]), f"{int(is_missed.sum()):,}"
        notes.append(f"Rows flagged by {flag}: {rows}; these trials are missing.")
    return Choices(action, n_total, tuple(names), tuple(notes))


def _format_code(value: object) -> str:
    """Formats a cell as text; whole numbers get no decimal point."""
    text = str(value).strip()
    return text.removesuffix(".0") if isinstance(value, (float, np.floating)) else text


def _are_missing_values(numbers: np.ndarray) -> np.ndarray:
    """Checks whether each number is a common code for missing values: -1, -9, -99, …, or -100, -1000, …"""
    hundreds = [-(10.0**power) for power in range(2, 6)]
    return np.array([x == -1 or set(f"{-x:.0f}") == {"9"} or x in hundreds for x in numbers])


def read_flag(table: Table, roles: Roles, role: str) -> np.ndarray:
    """Reads whether each row is flagged in the column of the role 'missed' or 'forced'; False without such a column.

    If the name of the column contains 'free', the column flags free choices, so that 0, 'false' or 'no' flags a row.

    Raises:
        MesascopeError: a cell is not a flag, such as 1, 0, 'yes' or 'no'.
    """
    column = roles.get_column(role)
    if column is None:
        return np.zeros(len(table.frame), bool)
    codes, values, is_empty = read_cells(table, column)
    words = [normalise_name(_format_code(v)) for v in values]
    is_reversed = "free" in normalise_name(column)  # a column that flags the free choices
    on = {"1", "true", "yes", role, "miss" if role == "missed" else "instructed", *COLUMN_NAMES["missed_words"]}
    off = {"0", "false", "no", "free", "ok", "valid"}
    is_bad = np.array([w not in on | off for w in words]) & ~is_empty
    remedy = f"Write 1 where a trial was {role}, or type {format_role_option(role, '')} to leave the column out."
    table.refuse_bad_rows(is_bad[codes], column, "{place} holds {cell}; a flag is 0 or 1.", remedy)
    return np.array([(w in (off if is_reversed else on)) and not n for w, n in zip(words, is_empty, strict=True)])[
        codes
    ]


def _find_odd_codes(numbers: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Finds the codes that do not count as choices: rare names among numbers, or rare numbers among names."""
    is_name, is_usual = np.isnan(numbers), ~_are_missing_values(numbers)
    if counts is None or not is_name.any() or is_name.all():
        return np.zeros(len(numbers), bool)
    limit = MAX_ODD_SHARE * counts.sum()
    return next((odd for odd in (is_name, ~is_name & is_usual) if counts[odd].sum() <= limit), is_name & False)


def _find_missing_zero(
    table: Table, roles: Roles, codes: np.ndarray, codes_present: np.ndarray, numbers: np.ndarray, n_choices: int | None
) -> tuple[np.ndarray, list[str]]:
    """Finds a code 0 that means a missed trial, if choices count from 1 or are -1 and 1; also returns notes.

    The 0 must be rare; in addition, all rows with a 0 must have the same feedback, or `n_choices` other codes must
    occur.
    """
    is_zero = numbers == 0
    others = sorted(numbers[~is_zero & ((numbers > 0) | (numbers == -1))])
    is_sided = others == [-1, 1]
    if not is_zero.any() or len(others) < 2 or not (is_sided or others[-len(others) :] == [*range(1, len(others) + 1)]):
        return is_zero & False, []
    is_row = codes == codes_present[is_zero.argmax()]
    if is_row.mean() > MAX_RARE_ZERO_SHARE or len(codes) < MIN_ROWS_FOR_RARE_ZERO or n_choices == len(others) + 1:
        return is_zero & False, []
    columns = [c for role in ("feedback", "gain", "loss") for c in roles.columns.get(role, [])]
    is_constant = is_row.sum() > 1 and all(table.frame.loc[is_row, c].astype(str).nunique() == 1 for c in columns)
    n = f"0 occurs on {int(is_row.sum()):,} of {len(codes):,} rows"
    if is_constant or n_choices == len(others):
        why = f"{n}, always with the same feedback, beside the choices {others[0]:g} to {others[-1]:g}"
        return is_zero, [f"{why}: it is read as a missing trial. If it is a choice, type --choices {len(others) + 1}."]
    return is_zero & False, [f"{n} and is read as a choice. If it means a missed trial, type --missing 0."]


def _list_choice_names(
    texts: list[str],
    numbers: np.ndarray,
    is_odd: np.ndarray,
    describe_first_bad_cell: Callable[[np.ndarray], str],
    options: tuple[str, ...],
) -> tuple[list[str], np.ndarray, list[str]]:
    """Lists the names of the choices: `options` if these contain every name that occurs, else all names, sorted.

    The function also returns which codes mean missing trials, and notes.

    Raises:
        MesascopeError: names and numbers both occur, and neither are rare.
    """
    is_name, is_missing_code = np.isnan(numbers), _are_missing_values(numbers) | is_odd
    is_number = ~is_name & ~is_missing_code
    if is_number.any():
        minority, others = (is_number, "names") if is_number.sum() < is_name.sum() else (is_name, "numbers")
        problem = f"{describe_first_bad_cell(minority)}, but other cells contain {others}."
        raise MesascopeError(problem, "Write all choices as numbers or all as names, and leave missing ones empty.")
    spellings = sorted({t for t, n in zip(texts, is_name, strict=True) if n}, key=lambda t: (t.casefold(), t))
    names = [t for i, t in enumerate(spellings) if not i or t.casefold() != spellings[i - 1].casefold()]
    names = list(options) if set(names) <= set(options) else names
    notes = [f"Choices are names: {', '.join(f'{quote(t)} = {i}' for i, t in enumerate(names[:20]))}."]
    if len(names) < len(spellings):
        merged = [t for t in spellings if t not in names]
        notes.append(f"Names that differ only in upper and lower case are one choice: {', '.join(map(quote, merged))}.")
    return names, is_missing_code, notes


def _check_number_of_choices(n_distinct: int, n_choices: int | None, column: str) -> None:
    """Raises MesascopeError if there are too many distinct choices, or only one and `n_choices` is None."""
    if n_distinct > MAX_CHOICES:
        problem = f"Column {quote(column)} holds {n_distinct:,} different choices; at most {MAX_CHOICES} are possible."
        raise MesascopeError(problem, f"Name the column of the choices: {format_role_option('action')}.")
    if n_choices is not None and n_distinct > n_choices:
        problem = f"Column {quote(column)} holds {n_distinct} different choices, but choices={n_choices}."
        raise MesascopeError(problem, "Leave choices out, or empty the cells of trials without a choice.")
    if n_distinct < 2 and n_choices is None:
        remedy = (
            f"Give the number of choices, such as choices=2, or name another column: {format_role_option('action')}."
        )
        raise MesascopeError(f"Column {quote(column)} holds the same choice on every trial that has one.", remedy)


def _find_missing_codes(
    numbers: np.ndarray, n_choices: int | None, describe_first_bad_cell: Callable[[np.ndarray], str]
) -> tuple[np.ndarray, bool]:
    """Finds which codes mean missing trials, and whether negative codes are choices."""
    if numbers.min() < 0 and (set(numbers) == {-1.0, 1.0} or len(set(numbers)) == n_choices):
        return np.zeros(len(numbers), bool), True
    is_missing_code = _are_missing_values(numbers)
    is_nines = np.isin(numbers, (99, 999, 9999, 99999))
    usual_codes = numbers[(numbers >= 0) & ~is_nines]
    if len(usual_codes):
        is_missing_code |= is_nines & (numbers > max(n_choices or 0, 4 * usual_codes.max(), 20))
    is_negative = (numbers < 0) & ~is_missing_code
    if is_negative.any():
        remedy = "Number choices from 0 or 1 and leave missing ones empty, or give their number with choices=."
        raise MesascopeError(f"{describe_first_bad_cell(is_negative)}, a negative choice.", remedy)
    if is_missing_code.all():
        problem = f"{describe_first_bad_cell(is_missing_code)}; the column holds only codes for missing trials."
        raise MesascopeError(problem, f"Name another column: {format_role_option('action')}.")
    return is_missing_code, False


def _number_codes(
    numbers: np.ndarray,
    codes_used: np.ndarray,
    has_negative_choices: bool,
    n_choices: int | None,
    arm_numbers: list[int] | None,
) -> tuple[np.ndarray, int, list[str]]:
    """Converts codes to choices counted from 0; returns the choices, their number and notes on the numbering."""
    low, high = int(codes_used.min()), int(codes_used.max())
    is_numbered = low in (0, 1) and not has_negative_choices
    if arm_numbers and is_numbered and np.isin(codes_used, arm_numbers).all():
        low, high = arm_numbers[0], arm_numbers[-1]
    span = high - low + 1
    if not is_numbered or span > (2 * len(codes_used) + 2 if n_choices is None else n_choices):
        order = ", ".join(f"{int(c)} = {i}" for i, c in enumerate(codes_used[:20]))
        notes = [f"Choices in the order of their codes: {order}."]
        return np.searchsorted(codes_used, numbers), max(len(codes_used), n_choices or 0), notes
    n_total = max(span, n_choices or 0)
    never_chosen = sorted(set(range(low, low + n_total)) - set(codes_used.astype(int)))
    notes = [f"Choices run from {low} to {low + n_total - 1} ({low}-based): {n_total} choices."]
    if never_chosen:
        notes.append(f"Choices that never occur, but count as choices: {', '.join(map(str, never_chosen[:20]))}.")
    return numbers - low, n_total, notes


def _list_arm_numbers(roles: Roles) -> list[int] | None:
    """Lists the numbers in the names of the columns for means or probabilities; None without columns or numbers."""
    for role in ("means", "probabilities"):
        suffixes = roles.suffixes.get(role, [])
        if suffixes and all(s.isdecimal() for s in suffixes):
            return [int(s) for s in suffixes]
    return None
