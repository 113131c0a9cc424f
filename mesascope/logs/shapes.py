"""Converts tables to one row per trial: selects rows, stacks tables with a row per person, and joins rows of stages."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.columns import ALIASES, COLUMN_NAMES, FALLBACK_ALIASES, normalise_name, read_labels, read_numbers
from mesascope.logs.tables import Table, format_count, format_names, quote

COMPARISONS = {
    "==": np.equal, "!=": np.not_equal, ">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less,
}  # fmt: skip
CLAUSE_PATTERN = re.compile(
    rf"\s*(?:`([^`]+)`|([^`=!<>]+?))\s*({'|'.join(COMPARISONS)})\s*(\"[^\"]*\"|'[^']*'|[^\"'=<>]+?)\s*"
)
WIDE_COLUMN_PATTERN = re.compile(r"(?P<stem>.*?[^0-9])(?P<number>[0-9]+)\)?")  # choice_12, or 12 after any name
WIDE_ROLES = ("action", "feedback", "gain", "loss", "missed", "rt", "forced")
MIN_WIDE_TRIALS = 5


def select_rows(table: Table, where: str, roles: Mapping[str, Any] | None = None) -> Table:
    """Keeps the rows that satisfy all comparisons in `where`.

    Args:
        table: the log as a table.
        where: comparisons of a column with a value, joined by 'and', such as 'phase == "main" and rt > 0.15'. A name
            that contains '=', '!', '<' or '>' must stand in backquotes.
        roles: the columns that the user named, by role; in `where`, the name of such a role means its column. None if
            the user named none.

    Raises:
        MesascopeError: a comparison cannot be read, a column does not exist, or no row satisfies the comparisons.
    """
    is_kept = np.ones(len(table.frame), bool)
    for clause in re.split(r"\s+(?:and|&)\s+|\s*&&\s*", where.strip()):
        match = CLAUSE_PATTERN.fullmatch(clause)
        if match is None:
            problem = f"where is {quote(where)}, and {quote(clause)} is not a comparison of a column with a value."
            raise MesascopeError(problem, "Type, for example, --where 'phase == \"main\" and session != 2'.")
        name, sign, value = match[1] or match[2], match[3], match[4].strip("\"'")
        name = name if name in table.header else str((roles or {}).get(name) or name)
        columns = [c for c in table.header if normalise_name(c) == normalise_name(name)]
        columns = [name] if name in table.header else columns
        if len(columns) != 1:
            problem = f"where names the column {quote(name)}, which {table.name} does not have."
            raise MesascopeError(problem, f"Its columns are {format_names(table.header, 30)}.")
        if sign in ("==", "!="):
            codes, names = read_labels(table, columns[0])
            is_equal = np.array([*(n == value for n in names), value == ""])[codes]
            is_kept &= is_equal if sign == "==" else ~is_equal
        else:
            try:
                is_kept &= COMPARISONS[sign](read_numbers(table, columns[0], ""), float(value))
            except (MesascopeError, ValueError):
                problem = f"where compares {quote(name)} with {quote(value)}, and one of them is not a number."
                raise MesascopeError(problem, "Use == or != for names.") from None
        if not is_kept.any():
            values = format_names(read_labels(table, columns[0])[1])
            raise MesascopeError(f"No row meets {quote(where)}.", f"{quote(columns[0])} contains {values}.")
    note = (
        f"Rows that meet the condition of where: {int(is_kept.sum()):,} of {len(is_kept):,}; the others were left out."
    )
    return replace(table, frame=table.frame.loc[is_kept], notes=(*table.notes, note))


def leave_out_practice(table: Table, columns: Mapping[str, Any] | None) -> Table:
    """Leaves out the rows of practice trials, if a column with a common name for the phase marks them.

    No row is left out if `columns`, the user's mapping of roles to columns, contains the role phase.
    """
    if columns and "phase" in columns:
        return table
    for column in [c for c in table.header if normalise_name(c) in ALIASES["phase"]]:
        codes, names = read_labels(table, column)
        is_flag = "prac" in normalise_name(column) and {n.casefold() for n in names} <= {"0", "1", "true", "false"}
        is_practice = [
            n.casefold() in ("1", "true") if is_flag else normalise_name(n).startswith(tuple(COLUMN_NAMES["practice"]))
            for n in names
        ]
        is_out = np.array([*is_practice, False])[codes]
        if is_out.any() and not is_out.all():
            found = format_names([n for n, practice in zip(names, is_practice, strict=True) if practice])
            note = (
                f"Rows of practice were left out: {int(is_out.sum()):,}, with {found} in {quote(column)}; to read all "
                "rows, type --columns phase=."
            )
            table = replace(table, frame=table.frame.loc[~is_out], notes=(*table.notes, note))
    return table


def stack_wide_table(table: Table) -> Table:
    """Stacks a table with one row per person and columns for every trial, such as choice_1, choice_2, …

    Other tables are returned unchanged.
    """
    import pandas as pd

    columns_by_stem: dict[str, dict[int, str]] = {}
    for column in table.header:
        if match := WIDE_COLUMN_PATTERN.fullmatch(column):
            columns_by_stem.setdefault(match["stem"], {})[int(match["number"])] = column
    roles = {
        stem: role
        for stem in columns_by_stem
        for role in WIDE_ROLES
        if normalise_name(stem) in (*ALIASES[role], *FALLBACK_ALIASES.get(role, ()))
    }
    stems = [s for s in roles if len(columns_by_stem[s]) >= MIN_WIDE_TRIALS]
    if not any(roles[s] == "action" for s in stems) or not any(roles[s] in ("feedback", "gain", "loss") for s in stems):
        return table
    numbers = sorted(set.union(*(set(columns_by_stem[s]) for s in stems)))
    stacked = {column for s in stems for column in columns_by_stem[s].values()}
    others = table.frame[[c for c in table.header if c not in stacked]]
    if not any(normalise_name(c) in (*ALIASES["participant"], *FALLBACK_ALIASES["participant"]) for c in others):
        others = others.assign(participant=np.arange(1, len(others) + 1))
    trial_column = next(c for c in ("trial", "trial number") if c not in others)
    empty_column: Any = pd.Series([None] * len(others), index=others.index, dtype=object)
    cells = {
        s: pd.concat(
            [
                table.frame[columns_by_stem[s][n]].astype(object) if n in columns_by_stem[s] else empty_column
                for n in numbers
            ]
        )
        for s in stems
    }
    names = {s: next(name for name in (ALIASES[roles[s]][0], s) if name not in others) for s in stems}
    frame = pd.concat([others] * len(numbers)).assign(**{trial_column: np.repeat(numbers, len(others))})
    frame = frame.assign(**{names[s]: cells[s].to_numpy() for s in stems})
    note = f"Each row is one person, with {len(numbers):,} trials in the columns {format_names(sorted(stacked), 4)}."
    return replace(table, frame=frame, notes=(*table.notes, note))


def join_stages(table: Table, columns: Mapping[str, Any] | None) -> Table:
    """Joins the two rows of a two-step trial, if a column shows that rows alternate between a first and a second stage.

    The choice of the second row becomes the column 'second choice'. In the other columns, a cell of the second row that
    is not empty replaces that of the first row; response times remain those of the first row. Rows without the other
    stage are left out. Other tables are returned unchanged, and so are those for which `columns`, the user's mapping of
    roles to columns, contains the role second or transition.
    """
    if {"second", "transition"} & set(columns or ()):
        return table
    for column in [c for c in table.header if normalise_name(c) in COLUMN_NAMES["stage_of_row"]]:
        codes, names = read_labels(table, column)
        if len(names) != 2 or "second choice" in table.header:
            continue
        starts = np.flatnonzero((codes[:-1] == 0) & (codes[1:] == 1))
        if len(starts) < 0.4 * len(codes):  # these are stages of a session, not of a trial
            continue
        action = (columns or {}).get("action")
        usual = (*ALIASES["action"], *FALLBACK_ALIASES["action"])
        action = action or min(
            (c for c in table.header if normalise_name(c) in usual),
            key=lambda c: usual.index(normalise_name(c)),
            default="",
        )
        if action not in table.header:
            continue
        first, second = table.frame.iloc[starts], table.frame.iloc[starts + 1].set_axis(table.frame.index[starts])
        is_later = [c for c in table.header if c != action and normalise_name(c) not in ALIASES["rt"]]
        later = second[is_later].astype(object)
        later = later.where(~later.isin(["", None]) & later.notna(), first[is_later])
        frame = first.drop(columns=is_later).join(later)[table.header].assign(**{"second choice": second[action]})
        note = (
            f"Each trial has two rows, {quote(names[0])} and {quote(names[1])} in {quote(column)}: they were joined to "
            f"{format_count(len(frame), 'trial')}, and {quote(action)} of the second row is the second choice."
        )
        if alone := len(codes) - 2 * len(starts):
            note += f" Rows without the other stage were left out: {alone:,}."
        return replace(table, frame=frame.drop(columns=column), notes=(*table.notes, note))
    return table
