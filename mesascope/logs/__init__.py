"""Reads logs, which are recorded choices of people, animals or agents, as trials.

    trials, notes = read_log("experiment.csv")
    trials, notes = read_log(frame, columns={"action": "key", "lifetime": ["session", "block"]})

One row is one trial. A lifetime is a participant, or a block, session or episode of a participant if the log has them.
The notes say how the log was read; the trials contain them too.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mesascope.errors import MesascopeError
from mesascope.formats import TRIALS
from mesascope.logs.codes import MAX_CHOICES
from mesascope.logs.columns import Roles, assign_roles, natural_sort_key, read_labels, read_numbers, spell_role
from mesascope.logs.payoffs import read_feedback, read_latents
from mesascope.logs.stages import read_offered, read_stages
from mesascope.logs.tables import Table, count_noun, list_names, open_table, quote
from mesascope.trials import AXES, check_trials


def read_log(
    source: Any, columns: Mapping[str, Any] | None = None, choices: int | None = None
) -> tuple[xr.Dataset, list[str]]:
    """Reads a log as trials, and returns them with notes on how it was read.

    Args:
        source: the path of a .csv, .tsv, .txt, .jsonl or .parquet file; or a pandas DataFrame with one row per trial;
            or an xarray Dataset.
        columns: a mapping of roles to columns, for names that `mesascope.logs.columns.ALIASES` does not list. The roles
            are action, feedback (or gain and loss), trial, participant, lifetime, missed, score, chance, best, means,
            probabilities and offered (the options at the places that could be chosen). Two-stage trials also have the
            roles second, state and transition. The roles lifetime, means, probabilities and offered take several
            columns. None or '' keeps a role empty.
        choices: the number of choices, if not all of them occur.

    Returns:
        The trials, with one condition, 'intact', and N lifetimes of T trials, and the notes, one sentence each. The
        trials contain action [1, N, T] (-1 if missing) and feedback [1, N, T] (NaN if missing). If the log has them,
        they also contain score [1, N, T], log_probs [1, N, T, K], chance, best and worst [N, T], means [N, T, K],
        offered [N, T, K] (0 or 1), and the coordinate participant [N], counted from 0. Two-stage trials, whose action
        is the first choice, contain second_action, second_state and transition [1, N, T] (1 common, 0 rare, -1
        missing). The attribute `notes` contains the notes too.

    Raises:
        MesascopeError: the log cannot be read; the message names the row and the column, what is there, and what to
            type.
    """
    is_integer = isinstance(choices, (int, np.integer)) and not isinstance(choices, bool)
    if choices is not None and not (is_integer and 2 <= choices <= MAX_CHOICES):
        problem = f"choices is {quote(choices)}."
        raise MesascopeError(problem, f"Give a whole number from 2 to {MAX_CHOICES}, or leave it out.")
    if isinstance(source, xr.Dataset):
        if source.attrs.get("format") == TRIALS:
            check_trials(source)
            return renumber_participants(source), ["The data set already contains trials and was not converted."]
        source = _tabulate(source, columns)
    table = open_table(source)
    roles = assign_roles(table, columns)
    lifetime, participants, position, position_notes = _locate_rows(table, roles)
    owner = None if participants is None else participants[lifetime]
    choice_rows, offered, offered_notes = read_offered(table, roles, None if choices is None else int(choices))
    feedback, feedback_notes = read_feedback(table, roles, choice_rows.action, lifetime, position)
    latents, payoff_notes = read_latents(table, roles, choice_rows, feedback, lifetime, position=position)
    stages, stage_notes = read_stages(table, roles, choice_rows, owner)
    rows = {"feedback": feedback, **latents, **offered, **stages}
    trials = _fill_grid(choice_rows.action, rows, lifetime, position)
    if participants is not None:
        trials = trials.assign_coords(participant=("lifetime", participants))
    unread_columns = [c for c in table.header if not any(c in names for names in roles.columns.values())]
    notes = [
        f"{count_noun(len(table.frame), 'row')} of {table.name}.",
        *table.notes,
        f"Columns: {', '.join(f'{role} = {list_names(names)}' for role, names in sorted(roles.columns.items()))}.",
        *(f"Columns that were not read: {list_names(unread_columns)}." for _ in unread_columns[:1]),
        *roles.notes,
        *position_notes,
        *_describe_size(trials),
        *choice_rows.notes,
        *offered_notes,
        *stage_notes,
        *feedback_notes,
        *payoff_notes,
    ]
    name = Path(os.fsdecode(source)).name if isinstance(source, (str, os.PathLike)) else "log"
    trials.attrs = {
        "format": TRIALS,
        "family": "log",
        "split": "logged",
        "subject": Path(name).stem,
        "trained_on": "unknown",
        "source": name,
        "choices": choice_rows.n_choices,
        "unit": "lifetime" if participants is None else "participant",
        "payoff": "expected pay-off" if "score" in trials else "realised pay-off",
        "notes": notes,
    }
    check_trials(trials)
    return trials, list(notes)


def renumber_participants(trials: xr.Dataset) -> xr.Dataset:
    """Numbers the participants of trials from 0, in the order of their ids, and drops the ids."""
    if "participant" not in trials.coords or trials.participant.dims != ("lifetime",):
        return trials.copy()
    ids = [str(p) for p in trials.participant.values.tolist()]
    number_of_id = {name: i for i, name in enumerate(sorted(set(ids), key=natural_sort_key))}
    return trials.assign_coords(participant=("lifetime", np.array([number_of_id[i] for i in ids])))


def _tabulate(data: xr.Dataset, columns: Mapping[str, Any] | None) -> Any:
    """Converts a Dataset in another layout to a table with one row per trial."""
    import pandas as pd

    names = [str(n) for n in dict.fromkeys([*data.variables, *data.dims])]
    roles = assign_roles(Table(pd.DataFrame(columns=names), "the Dataset", "row", 0), columns)
    role_columns = [c for role in roles.columns.values() for c in role]
    dims = data[roles.columns["action"][0]].dims
    for name in role_columns:
        if name in data.variables and not set(data[name].dims) <= set(dims):
            problem = f"{quote(name)} has the axes {list_names(data[name].dims)}; the action has {list_names(dims)}."
            raise MesascopeError(problem, "Give both the same axes, or choose one value with .sel or .isel.")
    if not dims:
        raise MesascopeError("The action has no axes, so it is one trial.", "Give it the axes lifetime and trial.")
    variables = [n for n in data.variables if set(data[n].dims) <= set(dims)]
    return data[variables].to_dataframe(dim_order=list(dims)).reset_index()


def _locate_rows(table: Table, roles: Roles) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, list[str]]:
    """Finds the lifetime of each row, the participant of each lifetime, and each row's position in its lifetime."""
    parts = [c for role in ("participant", "lifetime") for c in roles.columns.get(role, [])]
    lifetime = np.zeros(len(table.frame), np.int64)
    owner, group = None, lifetime
    for column in parts:
        codes, names = read_labels(table, column)
        remedy = f"Fill it in, leave the row out, or read another column: {spell_role('lifetime')}."
        table.refuse(codes < 0, column, "{place} is empty ({rows}), so the trial belongs to no known lifetime.", remedy)
        group, lifetime = lifetime, np.unique(lifetime * len(names) + codes, return_inverse=True)[1]
        if column == roles.get_column("participant"):
            owner = codes
    _, first_row, length = np.unique(lifetime, return_index=True, return_counts=True)
    participants = None if owner is None else owner[first_row]
    if length.max() == 1:
        raise MesascopeError(
            f"Each of the {len(length):,} lifetimes has one trial, so nothing can change within a lifetime. A lifetime "
            f"is {list_names(parts)}.",
            f"Name the columns that stay the same within a lifetime: {spell_role('lifetime')}.",
        )
    definition = " × ".join(quote(c) for c in parts) if parts else "the whole log, because no column divides it"
    if "lifetime" in roles.columns and "participant" in roles.columns:
        definition += f"; if the task continues across them, type {spell_role('lifetime', '')}"
    notes = [f"A lifetime is {definition}."]
    if participants is not None:
        number = count_noun(len(np.unique(participants)), "participant")
        notes.append(f"Intervals resample {number}, numbered in the order of their ids.")
    column = roles.get_column("trial")
    if column is None:
        position = _rank_in_lifetime(lifetime, np.arange(len(lifetime)))
        notes.append("No column numbers the trials, so trials follow the order of the rows.")
    else:
        groups = [g for g in (np.zeros(len(length)), group[first_row], participants) if g is not None]
        position, position_notes = _read_positions(table, column, lifetime, groups, parts)
        notes += position_notes
    n_positions = int(position.max()) + 1
    if len(length) * n_positions > max(20 * len(lifetime), 50_000_000):
        raise MesascopeError(
            f"There are {len(length):,} lifetimes. Half of them have at most {int(np.median(length)):,} trials, but "
            f"one has {n_positions:,}, so padded to one length they do not fit into memory.",
            f"Name the columns that distinguish lifetimes: {spell_role('lifetime')}.",
        )
    return lifetime, participants, position, notes


def _rank_in_lifetime(lifetime: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Ranks the keys of the rows within each lifetime, from 0."""
    import pandas as pd

    return pd.Series(key).groupby(lifetime).rank("first").to_numpy(np.int64) - 1


def _read_positions(
    table: Table, column: str, lifetime: np.ndarray, groups: list[np.ndarray], parts: list[str]
) -> tuple[np.ndarray, list[str]]:
    """Reads the position of each row in its lifetime from the trial numbers, whose gaps stay gaps; returns notes too.

    Args:
        table: the log.
        column: the column of the trial number.
        lifetime: the lifetime of each row.
        groups: several ways to group lifetimes, each with the group of every lifetime. Trial numbers may continue from
            one lifetime of a group to the next.
        parts: the columns that distinguish lifetimes.
    """
    notes: list[str] = []
    number = read_numbers(table, column, "trial", max_size=2.0**53)
    remedy = f"Leave out such rows, or use the order of the rows: {spell_role('trial', '')}."
    for is_bad, fault in (
        (np.isnan(number), "is empty, so the trial has no position"),
        (number != np.round(number), "is not a whole number"),
        (number < 0, "is a negative trial number"),
    ):
        table.refuse(is_bad, column, f"{{place}}: {{cell}} {fault} ({{rows}}).", remedy)
    number = number.astype(np.int64)
    step = int(np.gcd.reduce(number - number.min()))
    if step > 1:
        notes.append(f"Trials are numbered in steps of {step:,}.")
    order = np.lexsort((number, lifetime))
    is_repeat = (np.diff(lifetime[order]) == 0) & (np.diff(number[order]) == 0)
    if is_repeat.any():
        at = int(np.flatnonzero(is_repeat)[0])
        first, second = sorted((int(order[at]), int(order[at + 1])))
        owner = f"by {list_names(parts)}, both rows" if parts else "no column names a participant, so both rows"
        repeats = count_noun(int(is_repeat.sum()), "such row")
        raise MesascopeError(
            f"{table.describe_cell(second, column)}: trial {number[second]} also occurs in "
            f"{table.describe_row(first)}; {owner} belong to one lifetime ({repeats}).",
            f"Leave one out, or name the columns that distinguish lifetimes, {spell_role('lifetime')}; "
            f"the others are {list_names([c for c in table.header if c not in (column, *parts)])}.",
        )
    length = np.bincount(lifetime)
    ends = np.cumsum(length) - 1
    position = (number - number.min()) // max(step, 1)
    low, high = position[order][ends - length + 1], position[order][ends]
    start = np.zeros(len(length), np.int64)
    if any(_are_disjoint(low, high, group) for group in groups):
        start = low
        if len(length) > 1:
            notes.append("Trial numbers continue from one lifetime to the next: each is counted from its first.")
    position = position - start[lifetime]
    if int(position.max()) + 1 > 3 * int(length.max()) + 10:
        notes.append(f"Trial numbers have large gaps, up to {int(number.max()):,}: only their order is used.")
        return _rank_in_lifetime(lifetime, number), notes
    gaps = int((high - start + 1 - length).sum())
    if gaps:
        notes.append(f"Trial numbers without a row: {gaps:,}; these trials are missing.")
    return position, notes


def _are_disjoint(low: np.ndarray, high: np.ndarray, group: np.ndarray) -> bool:
    """Whether the ranges [low, high] of each group are disjoint, and some group has several ranges."""
    order = np.lexsort((low, group))
    same_group = np.diff(group[order]) == 0
    return bool((same_group.any() or len(low) == 1) and (low[order][1:] > high[order][:-1])[same_group].all())


def _fill_grid(
    action: np.ndarray, rows: Mapping[str, np.ndarray], lifetime: np.ndarray, position: np.ndarray
) -> xr.Dataset:
    """Arranges rows as trials [N, T]; positions without a row are missing trials."""
    shape = (int(lifetime.max()) + 1, int(position.max()) + 1)
    data: dict[str, Any] = {}
    for name, values in {"action": action, **rows}.items():
        is_integer = values.dtype.kind == "i"
        by_condition = name in ("feedback", "score", "log_probs") or (is_integer and values.ndim == 1)
        fill = (-1 if values.ndim == 1 else 1) if is_integer else np.nan
        if name == "log_probs":
            fill = -np.log(values.shape[-1])
        grid = np.full((*shape, *values.shape[1:]), fill, np.int16 if is_integer else np.float32)
        grid[lifetime, position] = values
        axes = (AXES if by_condition else AXES[1:]) + (("choice",) if values.ndim > 1 else ())
        data[name] = (axes, grid[None] if by_condition else grid)
    return xr.Dataset(data, coords={"condition": ["intact"]})


def _describe_size(trials: xr.Dataset) -> list[str]:
    """Describes how many lifetimes and trials there are, in notes, with a warning if there are too few."""
    taken = (trials.action.values[0] >= 0).sum(-1)
    n, length = trials.sizes["lifetime"], trials.sizes["trial"]
    spread = f"{taken.min():,} to {taken.max():,}" if taken.min() < taken.max() else f"{taken.max():,}"
    amount = f"{spread} trials with a choice, padded to {length:,}"
    notes = [f"{count_noun(n, 'lifetime')} of {amount if taken.min() < length else count_noun(length, 'trial')}."]
    unit = "participants" if "participant" in trials.coords else "lifetimes"
    units = len(np.unique(trials.participant.values)) if unit == "participants" else n
    if units < 3:
        notes.append(f"There are fewer than three {unit} ({units}), so there are no intervals and no claims.")
    return notes
