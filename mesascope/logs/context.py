"""Reads more than choices and feedback: forced choices, response times, unchosen outcomes, phases, groups, sessions."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mesascope.errors import MesascopeError, require
from mesascope.logs.codes import MAX_CHOICES, Choices, read_flag
from mesascope.logs.columns import Roles, format_role_option, read_cells, read_labels, read_numbers
from mesascope.logs.tables import Table, format_count, format_names, quote

MAX_GROUPS = 10
MIN_ROWS_PER_OPTION = 10  # sets of options are separate bandits only if they have this mean number of rows per option
MIN_BLANK_SHARE = 1 / 3  # if a larger share of rows has no choice and no feedback, these rows are not missed trials


def leave_out_blank_rows(table: Table, roles: Roles) -> Table:
    """Leaves out rows that have neither a choice nor feedback, such as screens with instructions.

    If a column numbers the trials and some of its cells are empty, only rows that also lack the number are left out.
    Otherwise, rows without choice and feedback are left out only if they are at least a third of all rows. Those that
    are not left out count as missed trials.
    """
    columns = [c for role in ("action", "feedback", "gain", "loss", "trial") for c in roles.columns.get(role, [])]
    shares_needed, is_blank = MIN_BLANK_SHARE, np.ones(len(table.frame), bool)
    for column in columns:
        try:
            codes, _, is_empty = read_cells(table, column)
        except MesascopeError:
            return table
        if column != roles.get_column("trial"):
            is_blank &= is_empty[codes]
        elif is_empty[codes].any():  # a missed trial would have a number
            is_blank &= is_empty[codes]
            shares_needed = 0.0
    if is_blank.all() or not is_blank.any() or is_blank.mean() < shares_needed:
        return table
    note = (
        f"Rows without {', '.join(map(quote, columns))}: {int(is_blank.sum()):,} of {len(is_blank):,}. They count as "
    )
    note += "other screens and not as missed trials."
    return replace(table, frame=table.frame.loc[~is_blank], notes=(*table.notes, note))


def exclude_by_rt(table: Table, roles: Roles, choices: Choices, rt: str | None) -> tuple[Choices, np.ndarray | None]:
    """Marks trials with a response time outside a range as missing.

    Args:
        table: the log as a table.
        roles: the columns of the log by role.
        choices: the choices of the log's rows.
        rt: the range in the unit of the column, such as '0.15..3'; either end may be left out. None excludes no trial.

    Returns:
        The choices, -1 where a trial was excluded; and the response times [rows], NaN for empty cells, or None if no
        column can be read as response times.

    Raises:
        MesascopeError: the range cannot be read, no trial has a response time in it, a range is given but no column
            contains response times, or the column that the user named for them does not contain numbers.
    """
    column = roles.get_column("rt")
    if column is None:
        problem = f"rt is {quote(rt)}, and no column of {table.name} has a common name for the response time."
        require(rt is None, problem, f"Name it: {format_role_option('rt')}.")
        return choices, None
    try:
        times = read_numbers(table, column, "rt")
    except MesascopeError as error:
        if rt is not None or "rt" in roles.requested_roles:
            raise
        roles.notes.append(f"{quote(column)} not read as response times: {error.problem}")
        roles.remove(["rt"])
        return choices, None
    if rt is None:
        return choices, times
    low, dots, high = rt.partition("..")
    try:
        bounds = float(low or "-inf"), float(high or "inf")
    except ValueError:
        dots = ""
    if not dots:
        raise MesascopeError(
            f"rt is {quote(rt)}, which is not a range.", "Type, for example, --rt 0.15..3 or --rt ..3."
        )
    is_out = (choices.action >= 0) & ((times < bounds[0]) | (times > bounds[1]))
    require(
        not is_out.all(), f"No trial has a response time in {rt}.", f"Give the range in the unit of {quote(column)}."
    )
    note = f"Trials with {quote(column)} outside {rt}: {int(is_out.sum()):,}; they are read as missing."
    action = np.where(is_out, -1, choices.action).astype(np.int16)
    return replace(choices, action=action, notes=(*choices.notes, note)), times


def renumber_options(choices: Choices, offered: np.ndarray | None, lifetime: np.ndarray) -> Choices:
    """Numbers options from 0 within each set, if lifetimes have separate sets of options (A and B, or C and D).

    The choices are returned unchanged if `offered` is given, if there is only one set, or if a set has a single option
    or fewer than ten trials per option.
    """
    has_choice = choices.action >= 0
    used = np.unique(np.stack([lifetime, choices.action])[:, has_choice], axis=1)
    n_lifetimes = int(lifetime.max()) + 1
    edges = coo_array((np.ones(used.shape[1]), (used[0], used[1] + n_lifetimes)), shape=[n_lifetimes + MAX_CHOICES] * 2)
    cue = connected_components(edges, directed=False)[1][lifetime]  # lifetimes with a common option
    if offered is not None or len(np.unique(cue)) == 1:
        return choices
    options = {c: np.unique(choices.action[has_choice & (cue == c)]) for c in np.unique(cue)}
    most = max(map(len, options.values()))
    is_clear = [
        len(own) > 1 and (has_choice & (cue == c)).sum() >= MIN_ROWS_PER_OPTION * len(own) for c, own in options.items()
    ]
    if not all(is_clear):  # there are too few trials to conclude that the sets are separate
        return choices
    action = choices.action.copy()
    for c, own in options.items():
        rows = has_choice & (cue == c)
        action[rows] = np.searchsorted(own, action[rows])
    note = f"Lifetimes have {len(options)} separate sets of at most {most} options, which are numbered from 0 in each."
    return Choices(action, most, (), (*choices.notes, note))


def read_context(table: Table, roles: Roles, choices: Choices) -> tuple[dict[str, np.ndarray], list[str]]:
    """Reads which trials were forced, and the outcome of the option that was not chosen.

    Returns:
        A dict with `forced` [rows] (1 or 0; -1 if missing) and `counterfactual` [rows] (NaN if missing), each only if
        the log contains it; and notes. `counterfactual` is read from one column, or from the outcomes of two choices.

    Raises:
        MesascopeError: a cell cannot be read, or every trial with a choice was forced.
    """
    variables: dict[str, np.ndarray] = {}
    notes: list[str] = []
    has_choice = choices.action >= 0
    if column := roles.get_column("forced"):
        is_forced = read_flag(table, roles, "forced")
        if (is_forced[has_choice]).all():
            problem = f"{quote(column)} flags every trial as forced, so no choice is the participant's own."
            raise MesascopeError(problem, f"Type {format_role_option('forced', '')} to read all choices as free.")
        variables["forced"] = np.where(has_choice, is_forced, -1).astype(np.int16)
        notes.append(
            f"Forced trials in {quote(column)}: {int((is_forced & has_choice).sum()):,}. Their feedback is seen, and "
            "their choices are not scored."
        )
    outcomes = roles.columns.get("counterfactual", [])
    if 1 <= len(outcomes) <= 2:
        shown = np.stack([read_numbers(table, c, "counterfactual") for c in outcomes], -1)
        other = shown[np.arange(len(shown)), 1 - np.clip(choices.action, 0, 1) if len(outcomes) == 2 else 0]
        variables["counterfactual"] = np.where(has_choice, other, np.nan)
        notes.append("The outcome of the option that was not chosen is known; findings use the outcome of the choice.")
    return variables, notes


def describe_phases(table: Table, roles: Roles) -> list[str]:
    """Describes in a note which phases the log has, and what to type to read one phase."""
    column = roles.get_column("phase")
    codes, names = read_labels(table, column) if column else (np.zeros(0, int), [])
    if len(names) < 2:
        return []
    sizes = ", ".join(f"{quote(n)} ({int((codes == i).sum()):,} rows)" for i, n in enumerate(names[:6]))
    example = f"--where '{column} == \"{names[0]}\"'"
    return [f"Phases in {quote(column)}, which were read together: {sizes}. To read one of them, type {example}."]


def add_lifetime_labels(
    trials: xr.Dataset, table: Table, roles: Roles, lifetime: np.ndarray, participants: np.ndarray | None
) -> tuple[xr.Dataset, list[str]]:
    """Adds the group and the session of each lifetime to the trials as coordinates; also returns notes.

    A coordinate is added only if it is constant within lifetimes. For the group, there must also be 2 to 10 groups,
    each (unless the user named its column) with at least two participants, or lifetimes if there are no participants.

    Raises:
        MesascopeError: the group that the user named changes within a lifetime.
    """
    notes: list[str] = []
    first_row = np.unique(lifetime, return_index=True)[1]
    for role in ("group", "session"):
        if role not in roles.columns:
            continue
        column = roles.columns[role][0]
        codes, names = read_labels(table, column)
        is_constant = (codes == codes[first_row][lifetime]).all()
        is_requested = role in roles.requested_roles
        if role == "group":
            problem = f"{quote(column)} is the group, and it changes within a lifetime."
            remedy = f"Divide lifetimes there: {format_role_option('lifetime', column)}; or name another column."
            require(is_constant or not is_requested, problem, remedy)
            own = codes[first_row]
            by_owner = own if participants is None else np.unique(np.stack([participants, own]), axis=1)[1]
            sizes: Mapping[int, int] = dict(zip(*np.unique(by_owner, return_counts=True), strict=True))
            if not is_constant or not 2 <= len(names) <= MAX_GROUPS or (min(sizes.values()) < 2 and not is_requested):
                roles.remove([role])
                continue
            unit = "lifetime" if participants is None else "participant"
            listing = ", ".join(f"{quote(names[g])} ({format_count(int(n), unit)})" for g, n in sizes.items() if g >= 0)
            notes.append(f"Groups in {quote(column)}: {listing}.")
        if is_constant:
            labels = np.array([*names, ""], dtype=str)[codes[first_row]]
            trials = trials.assign_coords({role: ("lifetime", labels)})
    return trials, notes


def describe_unread_columns(table: Table, roles: Roles) -> list[str]:
    """Describes in a note which columns were not read."""
    unread_columns = [c for c in table.header if not any(c in names for names in roles.columns.values())]
    return [f"Columns that were not read: {format_names(unread_columns)}."] if unread_columns else []
