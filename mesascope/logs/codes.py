"""Converts the codes of choices in a log, which are numbers or names, to choices counted from 0."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.columns import Roles, parse_numbers, read_cells, read_numbers, spell_role
from mesascope.logs.tables import Table, quote

MAX_CHOICES = 200


@dataclass(frozen=True)
class Choices:
    """The choices of a log.

    Args:
        action: the choice of each row, counted from 0; -1 if it is missing.
        n_choices: how many choices there are.
        names: the names of the choices in the log; empty if the choices are numbers.
        notes: how the codes were read, one sentence each.
    """

    action: np.ndarray
    n_choices: int
    names: tuple[str, ...]
    notes: tuple[str, ...]


def read_choices(table: Table, roles: Roles, n_choices: int | None) -> Choices:
    """Reads the column of the action as choices counted from 0.

    Args:
        table: the log.
        roles: the columns by role.
        n_choices: the number of choices, if the user states it.

    Raises:
        MesascopeError: choices are fractions, negative or infinite, numbers and names are mixed, or there are more than
            200 choices or only one.
    """
    column = roles.columns["action"][0]
    codes, values, value_is_empty = read_cells(table, column)
    is_missed = _read_missed(table, roles)
    is_empty = value_is_empty[codes]
    codes_present = np.unique(codes[~is_missed & ~is_empty])
    if not len(codes_present):
        problem = f"Column {quote(column)} contains no choice: all {len(codes):,} cells are empty or flagged as missed."
        raise MesascopeError(problem, f"Name the column of the choices: {spell_role('action')}.")
    texts = [str(values[i]).strip() for i in codes_present]
    numbers = parse_numbers(texts)

    def describe_first_bad_cell(is_bad: np.ndarray) -> str:
        """Describes the place and the content of the first cell with a bad code."""
        row = int(np.flatnonzero(~is_missed & np.isin(codes, codes_present[is_bad]))[0])
        return f"{table.describe_cell(row, column)} holds {quote(str(values[codes[row]]).strip())}"

    names: list[str] = []
    if np.isnan(numbers).any():
        names, is_missing_code, notes = _list_choice_names(texts, numbers, describe_first_bad_cell)
        _check_number_of_choices(len(names), n_choices, column)
        n_total = max(len(names), n_choices or 0)
        actions = np.array([names.index(t) if t in names else -1 for t in texts])
    else:
        is_bad = (numbers != np.round(numbers)) | np.isinf(numbers)
        if is_bad.any():
            raise MesascopeError(
                f"{describe_first_bad_cell(is_bad)}, which is not a whole number; choices are whole numbers or names.",
                f"Correct the cell, or name another column: {spell_role('action')}.",
            )
        is_missing_code, has_negative_choices = _find_missing_codes(numbers, n_choices, describe_first_bad_cell)
        codes_used = np.unique(numbers[~is_missing_code])
        _check_number_of_choices(len(codes_used), n_choices, column)
        arms = _list_arm_numbers(roles)
        actions, n_total, notes = _number_codes(numbers, codes_used, has_negative_choices, n_choices, arms)
    if is_missing_code.any():
        pairs = zip(np.array(texts)[is_missing_code], codes_present[is_missing_code], strict=True)
        counts = ", ".join(f"{quote(t)} ({int((codes[~is_missed] == i).sum()):,})" for t, i in pairs)
        notes.append(f"Codes outside the choices, read as missing trials: {counts}.")
    action_of_code = np.full(len(values), -1, np.int16)
    action_of_code[codes_present] = np.where(is_missing_code, -1, actions)
    action = np.where(is_missed, -1, action_of_code[codes]).astype(np.int16)
    if (is_empty & ~is_missed).any():
        notes.append(f"Rows without a choice: {int((is_empty & ~is_missed).sum()):,}; these trials are missing.")
    if is_missed.any():
        flag, rows = quote(roles.columns["missed"][0]), f"{int(is_missed.sum()):,}"
        notes.append(f"Rows flagged by {flag}: {rows}; these trials are missing.")
    return Choices(action, n_total, tuple(names), tuple(notes))


def _are_missing_values(numbers: np.ndarray) -> np.ndarray:
    """Whether each number is one of the usual codes for missing values: -1, -9, -99, -999, …"""
    return np.array([x == -1 or set(f"{-x:.0f}") == {"9"} for x in numbers])


def _read_missed(table: Table, roles: Roles) -> np.ndarray:
    """Whether the log flags each row as a missed trial."""
    column = roles.get_column("missed")
    if column is None:
        return np.zeros(len(table.frame), bool)
    flag = read_numbers(table, column, "missed")
    remedy = f"Write 1 where a trial was missed, or type {spell_role('missed', '')} to leave the column out."
    table.refuse(~np.isin(flag, (0, 1)) & ~np.isnan(flag), column, "{place} holds {cell}; a flag is 0 or 1.", remedy)
    return flag == 1


def _list_choice_names(
    texts: list[str], numbers: np.ndarray, describe_first_bad_cell: Callable[[np.ndarray], str]
) -> tuple[list[str], np.ndarray, list[str]]:
    """Lists the names of the choices in alphabetical order, the codes that stand for missing trials, and notes."""
    is_name, is_missing_code = np.isnan(numbers), _are_missing_values(numbers)
    is_number = ~is_name & ~is_missing_code
    if is_number.any():
        minority, others = (is_number, "names") if is_number.sum() < is_name.sum() else (is_name, "numbers")
        problem = f"{describe_first_bad_cell(minority)}, but other cells contain {others}."
        raise MesascopeError(problem, "Write all choices as numbers or all as names, and leave missing ones empty.")
    names = sorted({t for t, n in zip(texts, is_name, strict=True) if n}, key=lambda t: (t.casefold(), t))
    notes = [f"Choices are names: {', '.join(f'{quote(t)} = {i}' for i, t in enumerate(names[:20]))}."]
    if len({t.casefold() for t in names}) < len(names):
        notes.insert(0, "Some names of choices differ only in upper and lower case; they count as different choices.")
    return names, is_missing_code, notes


def _check_number_of_choices(n_distinct: int, n_choices: int | None, column: str) -> None:
    """Raises MesascopeError if there are too many distinct choices, or only one."""
    if n_distinct > MAX_CHOICES:
        problem = f"Column {quote(column)} holds {n_distinct:,} different choices; at most {MAX_CHOICES} are possible."
        raise MesascopeError(problem, f"Name the column of the choices: {spell_role('action')}.")
    if n_choices is not None and n_distinct > n_choices:
        problem = f"Column {quote(column)} holds {n_distinct} different choices, but choices={n_choices}."
        raise MesascopeError(problem, "Leave choices out, or empty the cells of trials without a choice.")
    if n_distinct < 2 and n_choices is None:
        remedy = f"Give the number of choices, such as choices=2, or name another column: {spell_role('action')}."
        raise MesascopeError(f"Column {quote(column)} holds the same choice on every trial that has one.", remedy)


def _find_missing_codes(
    numbers: np.ndarray, n_choices: int | None, describe_first_bad_cell: Callable[[np.ndarray], str]
) -> tuple[np.ndarray, bool]:
    """Finds which codes stand for missing trials, and whether negative codes are choices."""
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
        problem = f"{describe_first_bad_cell(is_missing_code)}; all its cells are such codes for missing trials."
        raise MesascopeError(problem, f"Name another column: {spell_role('action')}.")
    return is_missing_code, False


def _number_codes(
    numbers: np.ndarray,
    codes_used: np.ndarray,
    has_negative_choices: bool,
    n_choices: int | None,
    arms: list[int] | None,
) -> tuple[np.ndarray, int, list[str]]:
    """Converts codes to choices counted from 0; returns the choices, their number and notes on the numbering."""
    low, high = int(codes_used.min()), int(codes_used.max())
    is_numbered = low in (0, 1) and not has_negative_choices
    if arms and is_numbered and np.isin(codes_used, arms).all():
        low, high = arms[0], arms[-1]
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
    """Lists the numbers in the names of the columns for means or probabilities; None if there are none."""
    for role in ("means", "probabilities"):
        suffixes = roles.suffixes.get(role, [])
        if suffixes and all(s.isdecimal() for s in suffixes):
            return [int(s) for s in suffixes]
    return None
