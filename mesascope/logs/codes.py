"""Converts the codes of choices in a log, which are numbers or names, to choices counted from 0."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.columns import Roles, read_cells, read_numbers, spell_role
from mesascope.logs.tables import Table, quote

MOST_CHOICES = 200


@dataclass(frozen=True)
class Choices:
    """The choices of a log.

    Args:
        action: the choice of each row, counted from 0; -1 if it is missing.
        number: how many choices there are.
        names: the names of the choices in the log; empty if the log gives numbers.
        notes: how the codes were read, one sentence each.
    """

    action: np.ndarray
    number: int
    names: tuple[str, ...]
    notes: tuple[str, ...]


def read_choices(table: Table, roles: Roles, choices: int | None) -> Choices:
    """Reads the column of the action as choices counted from 0.

    Args:
        table: the log.
        roles: the columns by role.
        choices: the number of choices, if the user states it.

    Raises:
        MesascopeError: choices are fractions, negative or infinite, numbers and names are mixed, or there are more than
            200 choices or only one.
    """
    notes: list[str] = []
    column = roles.of["action"][0]
    codes, values, value_is_empty = read_cells(table, column)
    missed = _read_missed(table, roles)
    is_empty = value_is_empty[codes]
    codes_present = np.unique(codes[~missed & ~is_empty])
    if not len(codes_present):
        raise MesascopeError(
            f"Column {quote(column)} contains no choice: all {len(codes):,} cells are empty or flagged as missed.",
            f"Name the column of the choices: {spell_role('action')}.",
        )
    text = [str(values[i]).strip() for i in codes_present]
    number = np.array([_parse_number(t) for t in text])

    def locate(is_bad: np.ndarray) -> str:
        return table.place(int(np.flatnonzero(~missed & np.isin(codes, codes_present[is_bad]))[0]), column)

    names: list[str] = []
    is_name = np.isnan(number)
    if is_name.any():
        is_code = np.array([_is_sentinel(x) for x in number])
        odd = ~is_name & ~is_code
        if odd.any():
            minority = odd if odd.sum() < is_name.sum() else is_name
            raise MesascopeError(
                f"{locate(minority)} holds {quote(text[int(np.flatnonzero(minority)[0])])}, but other cells contain "
                f"{'names' if minority is odd else 'numbers'}.",
                "Write all choices as numbers or all as names, and leave missing ones empty.",
            )
        names = sorted({t for t, n in zip(text, is_name, strict=True) if n}, key=lambda t: (t.casefold(), t))
        if len({t.casefold() for t in names}) < len(names):
            notes.append("Some names of choices differ only in upper and lower case; they count as different choices.")
        index, k = {t: i for i, t in enumerate(names)}, max(len(names), choices or 0)
        new = np.array([index.get(t, -1) for t in text])
        _check_number(len(names), choices, column)
        named_as = ", ".join(f"{quote(t)} = {i}" for t, i in list(index.items())[:20])
        notes.append(f"Choices are names: {named_as}.")
    else:
        fraction = number != np.round(number)
        if fraction.any() or np.isinf(number).any():
            odd = fraction | np.isinf(number)
            raise MesascopeError(
                f"{locate(odd)} holds {quote(text[int(np.flatnonzero(odd)[0])])}, which is not a whole number; "
                "choices are whole numbers or names.",
                f"Correct the cell, or name another column: {spell_role('action')}.",
            )
        is_code, base = _find_missing_codes(number, choices, locate, text)
        codes_used = np.unique(number[~is_code])
        _check_number(len(codes_used), choices, column)
        new, k, numbering_notes = _number_codes(number, codes_used, base, is_code, choices, arms=_read_arms(roles))
        notes += numbering_notes
    if is_code.any():
        pairs = zip(np.array(text)[is_code], codes_present[is_code], strict=True)
        counts = ", ".join(f"{quote(t)} ({int((codes[~missed] == i).sum()):,})" for t, i in pairs)
        notes.append(f"Codes outside the choices, read as missing trials: {counts}.")
    mapped = np.full(len(values), -1, np.int16)
    mapped[codes_present] = np.where(is_code, -1, new)
    action = np.where(missed, -1, mapped[codes]).astype(np.int16)
    if (is_empty & ~missed).any():
        notes.append(f"Rows without a choice: {int((is_empty & ~missed).sum()):,}; these trials are missing.")
    if missed.any():
        flag, rows = quote(roles.of["missed"][0]), f"{int(missed.sum()):,}"
        notes.append(f"Rows flagged by {flag}: {rows}; these trials are missing.")
    return Choices(action, k, tuple(names), tuple(notes))


def _parse_number(text: str) -> float:
    try:
        return float(text.replace("_", "x"))
    except ValueError:
        return float("nan")


def _is_sentinel(code: float) -> bool:
    """Whether a code is one of those that stand for missing values: -1, -9, -99, -999, …"""
    return bool(code == -1 or (code < 0 and np.isfinite(code) and set(f"{-code:.0f}") == {"9"}))


def _read_missed(table: Table, roles: Roles) -> np.ndarray:
    column = roles.one("missed")
    if column is None:
        return np.zeros(len(table.frame), bool)
    flag = read_numbers(table, column, "missed")
    remedy = f"Write 1 where a trial was missed, or type {spell_role('missed', '')} to leave the column out."
    table.refuse(~np.isin(flag, (0, 1)) & ~np.isnan(flag), column, "{place} holds {cell}; a flag is 0 or 1.", remedy)
    return flag == 1


def _check_number(n_distinct: int, choices: int | None, column: str) -> None:
    """Raises MesascopeError if there are too many distinct choices, or only one."""
    if n_distinct > MOST_CHOICES:
        raise MesascopeError(
            f"Column {quote(column)} holds {n_distinct:,} different choices; at most {MOST_CHOICES} are possible.",
            f"Name the column of the choices: {spell_role('action')}.",
        )
    if choices is not None and n_distinct > choices:
        raise MesascopeError(
            f"Column {quote(column)} holds {n_distinct} different choices, but choices={choices}.",
            "Leave choices out, or empty the cells of trials without a choice.",
        )
    if n_distinct < 2 and choices is None:
        raise MesascopeError(
            f"Column {quote(column)} holds the same choice on every trial that has one.",
            f"Give the number of choices, such as choices=2, or name another column: {spell_role('action')}.",
        )


def _find_missing_codes(
    number: np.ndarray, choices: int | None, locate: Callable[[np.ndarray], str], text: list[str]
) -> tuple[np.ndarray, float | None]:
    """Which codes stand for missing trials, and the code of the first choice if negative codes are choices, or None."""
    if number.min() < 0 and (set(number) == {-1.0, 1.0} or len(set(number)) == choices):
        return np.zeros(len(number), bool), float(number.min())
    is_missing_code = np.array([_is_sentinel(x) for x in number])
    valid_codes = number[~is_missing_code & (number >= 0)]
    nines = np.isin(number, (99, 999, 9999, 99999))
    if nines.any() and (valid_codes[~np.isin(valid_codes, number[nines])] >= 0).any():
        top = valid_codes[~np.isin(valid_codes, number[nines])].max()
        is_missing_code |= nines & (number > (choices or 0)) & (number > max(4 * top, 20))
    is_negative = (number < 0) & ~is_missing_code
    if is_negative.any():
        raise MesascopeError(
            f"{locate(is_negative)} holds {quote(text[int(np.flatnonzero(is_negative)[0])])}, a negative choice.",
            "Number choices from 0 or 1 and leave missing ones empty, or give their number with choices=.",
        )
    if is_missing_code.all():
        raise MesascopeError(
            f"{locate(is_missing_code)} holds {quote(text[0])}; all its cells are such codes for missing trials.",
            f"Name another column: {spell_role('action')}.",
        )
    return is_missing_code, None


def _number_codes(
    number: np.ndarray,
    codes_used: np.ndarray,
    base: float | None,
    is_missing: np.ndarray,
    choices: int | None,
    *,
    arms: np.ndarray | None,
) -> tuple[np.ndarray, int, list[str]]:
    """Converts codes to choices counted from 0; returns them with the number of choices and notes on the numbering."""
    low, high = int(codes_used.min()), int(codes_used.max())
    is_numbered = low in (0, 1) and base is None
    if arms is not None and is_numbered and np.isin(codes_used, arms).all():
        low, high = int(arms[0]), int(arms[-1])
    span = high - low + 1
    if not is_numbered or span > (2 * len(codes_used) + 2 if choices is None else choices):
        order = ", ".join(f"{int(c)} = {i}" for i, c in enumerate(codes_used[:20]))
        choices_from_0 = np.where(is_missing, -1, np.searchsorted(codes_used, number))
        return choices_from_0, max(len(codes_used), choices or 0), [f"Choices in the order of their codes: {order}."]
    k = max(span, choices or 0)
    never_chosen = sorted(set(range(low, low + k)) - set(codes_used.astype(int)))
    notes = [f"Choices run from {low} to {low + k - 1} ({low}-based): {k} choices."]
    if never_chosen:
        notes.append(f"Choices that never occur, but count as choices: {', '.join(map(str, never_chosen[:20]))}.")
    return np.where(is_missing, -1, number - low).astype(np.int64), k, notes


def _read_arms(roles: Roles) -> np.ndarray | None:
    """The numbers in the names of the columns for means or probabilities, or None."""
    for role in ("means", "probabilities"):
        suffixes = roles.suffixes.get(role, [])
        if suffixes and all(s.isdecimal() for s in suffixes):
            return np.array([int(s) for s in suffixes])
    return None
