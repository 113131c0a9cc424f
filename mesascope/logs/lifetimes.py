"""Finds the lifetime of each row, and the row's position in it, from participants, sessions, cues and trial numbers."""

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.columns import Roles, format_role_option, read_cells, read_labels, read_numbers
from mesascope.logs.tables import Table, format_count, format_names, quote

MIN_TRIALS_PER_CUE = 4  # a column divides lifetimes by cue only if the parts have at least this mean number of rows
MIN_RUN_ROWS = 2  # a column divides the rows into runs only if the runs have at least this mean number of rows
MAX_LISTED_DIVIDERS = 3


def locate_rows(table: Table, roles: Roles) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, list[str]]:
    """Finds the lifetime and the participant that each row belongs to, and the row's position in the lifetime.

    A lifetime is one combination of participant, session, block and cue. If trial numbers begin again within a
    lifetime, a new lifetime begins there. A cue that the user did not name is removed from `roles` if it does not
    divide lifetimes, or if it would leave fewer than four trials per lifetime on average.

    Returns:
        The lifetime of each row [rows]; the participant of each of the N lifetimes [N], or None if no column names
        participants; the position of each row in its lifetime [rows], from 0; and notes.

    Raises:
        MesascopeError: a cell that distinguishes lifetimes is empty, a trial number is missing, negative or not whole,
            two rows of a lifetime have the same trial number, an unread column divides a log without participants into
            runs of rows, each lifetime has only one trial, or the lifetimes do not fit into memory.
    """
    number, notes = _read_trial_numbers(table, roles)
    lifetime = np.zeros(len(table.frame), np.int64)
    owner, group = None, lifetime
    for role in ("participant", "session", "lifetime"):
        for column in roles.columns.get(role, []):
            codes = _read_codes(table, column)
            group, lifetime = lifetime, np.unique(lifetime * (codes.max() + 1) + codes, return_inverse=True)[1]
            owner = codes if role == "participant" else owner
    order = np.lexsort((np.arange(len(lifetime)) if number is None else number, lifetime))
    cue_notes = []
    if "cue" in roles.columns:
        lifetime, cue_notes = _divide_by_cue(table, roles, lifetime, order)
    parts = [c for r in ("participant", "session", "lifetime", "cue") for c in roles.columns.get(r, [])]
    if not parts and not {"participant", "lifetime"} & roles.empty_roles:
        _require_no_dividers(table, roles)
    if number is not None:
        lifetime, group, restart_notes = _divide_at_restarts(number, lifetime, group)
        cue_notes += restart_notes
    _, first_row, length = np.unique(lifetime, return_index=True, return_counts=True)
    participants = None if owner is None else owner[first_row]
    if length.max() == 1:
        raise MesascopeError(
            f"Each of the {len(length):,} lifetimes has one trial, so nothing can change within a lifetime. A lifetime "
            f"is {format_names(parts)}.",
            f"Name the columns that stay the same within a lifetime: {format_role_option('lifetime')}.",
        )
    definition = " × ".join(quote(c) for c in parts) if parts else "the whole log, because no column divides it"
    if "participant" in roles.columns and {"lifetime", "session"} & roles.columns.keys():
        empty = " and ".join(format_role_option(r, "") for r in ("lifetime", "session") if r in roles.columns)
        definition += f"; if the task continues across them, type {empty}"
    notes = [f"A lifetime is {definition}.", *cue_notes, *notes]
    if participants is not None:
        people = format_count(len(np.unique(participants)), "participant")
        notes.append(f"Intervals resample {people}, numbered in the order of their ids.")
    if number is None or "cue" in roles.columns:
        key = np.arange(len(lifetime)) if number is None else number
        position = _rank_in_lifetime(lifetime, key)
        if number is None:
            notes.append("No column numbers the trials, so trials follow the order of the rows.")
    else:
        groups = [g for g in (np.zeros(len(length)), group[first_row], participants) if g is not None]
        position, position_notes = _find_positions(
            table, roles.columns["trial"][0], number, lifetime, groups, lifetime_columns=parts
        )
        notes += position_notes
    n_positions = int(position.max()) + 1
    if len(length) * n_positions > max(20 * len(lifetime), 50_000_000):
        raise MesascopeError(
            f"There are {len(length):,} lifetimes. Half of them have at most {int(np.median(length)):,} trials, but "
            f"one has {n_positions:,}, so padded to one length they do not fit into memory.",
            f"Name the columns that distinguish lifetimes: {format_role_option('lifetime')}.",
        )
    return lifetime, participants, position, notes + _describe_dividers(table, roles, lifetime, order)


def _read_codes(table: Table, column: str) -> np.ndarray:
    """Reads a column that distinguishes lifetimes, as codes [rows].

    Raises:
        MesascopeError: a cell is empty.
    """
    codes, _ = read_labels(table, column)
    remedy = f"Fill it in, leave the row out, or read another column: {format_role_option('lifetime')}."
    table.refuse_bad_rows(
        codes < 0, column, "{place} is empty ({rows}), so the trial belongs to no known lifetime.", remedy
    )
    return codes


def _divide_by_cue(table: Table, roles: Roles, lifetime: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Divides lifetimes by cue; returns the new lifetime of each row, and notes.

    A cue that the user did not name is removed from `roles` if it divides nothing, or leaves too few trials on average.
    """
    columns, divided = roles.columns["cue"], lifetime
    for column in columns:
        codes = _read_codes(table, column)
        divided = np.unique(divided * (codes.max() + 1) + codes, return_inverse=True)[1]
    n_before, n_after = len(np.unique(lifetime)), len(np.unique(divided))
    is_useful = n_after > n_before and len(lifetime) >= MIN_TRIALS_PER_CUE * n_after
    if "cue" not in roles.requested_roles and not is_useful:
        roles.remove(["cue"])
        return lifetime, []
    changes = (np.diff(divided[order]) != 0) & (np.diff(lifetime[order]) == 0)
    layout = "interleaved" if changes.sum() > 2 * (n_after - n_before) else "one after the other"
    return divided, [
        f"Bandits are told apart by {format_names(columns)}: the trials of each, which are {layout}, are a lifetime of "
        f"their own; to pool them, type {format_role_option('cue', '')}."
    ]


def _list_runs(table: Table, roles: Roles, lifetime: np.ndarray, order: np.ndarray) -> dict[str, int]:
    """Lists unread columns whose values each form one run of rows within a lifetime, with each column's number of runs.

    Columns with empty cells or fractions, or with runs of fewer than two rows on average, are left out.
    """
    used = {c for names in roles.columns.values() for c in names}
    result = {}
    for column in [c for c in table.header if c not in used]:
        try:
            codes, values, is_empty = read_cells(table, column)
        except MesascopeError:
            continue
        fractions = sum(isinstance(v, float) and v == v and v != round(v) for v in values)
        if is_empty[codes].any() or fractions or len(values) - 1 > len(codes) / MIN_RUN_ROWS:
            continue
        pair = (lifetime * (codes.max() + 1) + codes)[order]
        runs = 1 + int((np.diff(pair) != 0).sum())
        n_pairs = len(np.unique(pair))
        if runs == n_pairs > len(np.unique(lifetime)) and runs <= len(codes) / MIN_RUN_ROWS:
            result[column] = runs
    return result


def _require_no_dividers(table: Table, roles: Roles) -> None:
    """Raises MesascopeError if a log without participants has a column that divides its rows into runs."""
    rows = np.arange(len(table.frame))
    if runs := _list_runs(table, roles, rows * 0, rows):
        column, n = next(iter(runs.items()))
        others = f" ({format_names([c for c in runs if c != column])} too)" if len(runs) > 1 else ""
        raise MesascopeError(
            f"In {table.name}, no column names a participant, but {quote(column)} divides the rows into {n} runs"
            f"{others}, which may be {n} participants or blocks.",
            f"Type {format_role_option('participant', column)} or "
            f"{format_role_option('lifetime', column)}; if all rows are one "
            f"lifetime, type {format_role_option('participant', '')}.",
        )


def _describe_dividers(table: Table, roles: Roles, lifetime: np.ndarray, order: np.ndarray) -> list[str]:
    """Describes in notes up to three unread columns that divide lifetimes into runs, and what to type to use them."""
    runs = [] if {"lifetime", "participant"} & roles.empty_roles else list(_list_runs(table, roles, lifetime, order))
    return [
        f"{quote(c)} divides lifetimes into runs of trials, and was not read: type "
        f"{format_role_option('lifetime', c)} if each "
        f"run is a lifetime, or --where '{c} == …' to read one of them."
        for c in runs[:MAX_LISTED_DIVIDERS]
    ]


def _rank_in_lifetime(lifetime: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Ranks the keys of the rows within each lifetime, from 0."""
    import pandas as pd

    return pd.Series(key).groupby(lifetime).rank("first").to_numpy(np.int64) - 1


def _read_trial_numbers(table: Table, roles: Roles) -> tuple[np.ndarray | None, list[str]]:
    """Reads the trial number of each row [rows]; None if no column numbers the trials. The list of notes is empty."""
    column = roles.get_column("trial")
    if column is None:
        return None, []
    number = read_numbers(table, column, "trial", max_size=2.0**53)
    remedy = f"Leave out such rows, or use the order of the rows: {format_role_option('trial', '')}."
    for is_bad, fault in (
        (np.isnan(number), "is empty, so the trial has no position"),
        (number != np.round(number), "is not a whole number"),
        (number < 0, "is a negative trial number"),
    ):
        table.refuse_bad_rows(is_bad, column, f"{{place}}: {{cell}} {fault} ({{rows}}).", remedy)
    return number.astype(np.int64), []


def _divide_at_restarts(
    trial_numbers: np.ndarray, lifetime: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Divides lifetimes where their trial numbers, in the order of the rows, begin again.

    Returns:
        The new lifetime of each row; a grouping of the rows, which is the lifetime before the division or, if nothing
        is divided, `group` unchanged; and notes.
    """
    order = np.argsort(lifetime, kind="stable")
    is_new = np.r_[True, np.diff(lifetime[order]) != 0]
    is_restart = np.r_[False, np.diff(trial_numbers[order]) <= 0] & ~is_new
    if not is_restart.any():
        return lifetime, group, []
    run = np.cumsum(is_new | is_restart) - 1
    starts = np.flatnonzero(is_new | is_restart)
    lowest = np.full(int(lifetime.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, lifetime, trial_numbers)
    n_repeats = len(trial_numbers) - len(np.unique(np.stack([lifetime, trial_numbers]), axis=1).T)
    begins_again = (trial_numbers[order][starts] == lowest[lifetime[order][starts]]).all()
    if not n_repeats or not begins_again or np.bincount(run).min() < 2:
        return lifetime, group, []  # the rows are not in the order of the trials, or a trial has two rows
    divided = np.empty_like(lifetime)
    divided[order] = run
    owners = len(np.unique(lifetime[order][is_restart]))
    note = f"Trial numbers begin again in {format_count(owners, 'lifetime')}, and a new lifetime begins there: "
    return divided, lifetime, [f"{note}{format_count(int(run[-1]) + 1, 'lifetime')} in all."]


def _find_positions(
    table: Table,
    column: str,
    trial_numbers: np.ndarray,
    lifetime: np.ndarray,
    groups: list[np.ndarray],
    *,
    lifetime_columns: list[str],
) -> tuple[np.ndarray, list[str]]:
    """Finds the position of each row in its lifetime from its trial number; also returns notes.

    Missing trial numbers leave empty positions. If the gaps are so large that most positions would be empty, only the
    order of the trial numbers is used.

    Args:
        table: the log as a table.
        column: the column of the trial number.
        trial_numbers: the trial number of each row.
        lifetime: the lifetime of each row.
        groups: several groupings of the lifetimes, each as an array with the group of every lifetime. Trial numbers may
            continue from one lifetime of a group to the next.
        lifetime_columns: the columns that distinguish lifetimes.

    Raises:
        MesascopeError: two rows of a lifetime have the same trial number.
    """
    notes: list[str] = []
    step = int(np.gcd.reduce(trial_numbers - trial_numbers.min()))
    if step > 1:
        notes.append(f"Trials are numbered in steps of {step:,}.")
    order = np.lexsort((trial_numbers, lifetime))
    is_repeat = (np.diff(lifetime[order]) == 0) & (np.diff(trial_numbers[order]) == 0)
    if is_repeat.any():
        at = int(np.flatnonzero(is_repeat)[0])
        first, second = sorted((int(order[at]), int(order[at + 1])))
        owner = (
            f"by {format_names(lifetime_columns)}, both rows"
            if lifetime_columns
            else "no column names a participant, so both rows"
        )
        repeats = format_count(int(is_repeat.sum()), "such row")
        raise MesascopeError(
            f"{table.describe_cell(second, column)}: trial {trial_numbers[second]} also occurs in "
            f"{table.describe_row(first)}; {owner} belong to one lifetime ({repeats}).",
            f"Leave one out, or name the columns that distinguish lifetimes, {format_role_option('lifetime')}; "
            f"the others are {format_names([c for c in table.header if c not in (column, *lifetime_columns)])}.",
        )
    length = np.bincount(lifetime)
    ends = np.cumsum(length) - 1
    position = (trial_numbers - trial_numbers.min()) // max(step, 1)
    low, high = position[order][ends - length + 1], position[order][ends]
    start = np.zeros(len(length), np.int64)
    if any(_are_disjoint(low, high, group) for group in groups):
        start = low
        if len(length) > 1:
            notes.append(
                "Trial numbers continue from one lifetime to the next, so each lifetime counts from its first trial."
            )
    position = position - start[lifetime]
    if int(position.max()) + 1 > 3 * int(length.max()) + 10:
        notes.append(f"Trial numbers have large gaps, up to {int(trial_numbers.max()):,}: only their order is used.")
        return _rank_in_lifetime(lifetime, trial_numbers), notes
    gaps = int((high - start + 1 - length).sum())
    if gaps:
        notes.append(f"Trial numbers without a row: {gaps:,}; these trials are missing.")
    return position, notes


def _are_disjoint(low: np.ndarray, high: np.ndarray, group: np.ndarray) -> bool:
    """Checks whether the ranges from `low` to `high` in each group are disjoint.

    If there are several ranges, the function returns False unless some group has more than one of them.
    """
    order = np.lexsort((low, group))
    same_group = np.diff(group[order]) == 0
    return bool((same_group.any() or len(low) == 1) and (low[order][1:] > high[order][:-1])[same_group].all())
