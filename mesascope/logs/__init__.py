"""Reads logs, which are recorded choices of people, animals or agents, as trials.

    trials, notes = read_log("experiment.csv")
    trials, notes = read_log(frame, columns={"action": "key", "lifetime": ["session", "block"]})

One row is one trial; transcripts, tables with one row per person, and rows of single stages are converted to this form
first. A lifetime contains all trials of one participant or, if the log distinguishes sessions, blocks or bandits, those
of one session, block and bandit. The notes describe how the log was read; the attribute `notes` of the trials that
are made from a log contains them too.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mesascope.errors import MesascopeError
from mesascope.formats import TRIALS_FORMAT
from mesascope.logs.codes import MAX_CHOICES
from mesascope.logs.columns import assign_roles, make_natural_sort_key
from mesascope.logs.context import (
    add_lifetime_labels,
    describe_phases,
    describe_unread_columns,
    exclude_by_rt,
    leave_out_blank_rows,
    read_context,
    renumber_options,
)
from mesascope.logs.lifetimes import locate_rows
from mesascope.logs.payoffs import read_feedback, read_latents
from mesascope.logs.shapes import join_stages, leave_out_practice, select_rows, stack_wide_table
from mesascope.logs.sources import open_table
from mesascope.logs.stages import read_offered, read_stages
from mesascope.logs.tables import Table, format_count, format_names, quote
from mesascope.logs.transcripts import read_transcripts
from mesascope.trials import AXES, check_trials


def read_log(
    source: Any,
    columns: Mapping[str, Any] | None = None,
    choices: int | None = None,
    *,
    missing: str | Iterable[Any] = (),
    where: str | None = None,
    rt: str | None = None,
) -> tuple[xr.Dataset, list[str]]:
    """Reads a log as trials, and returns them with notes on how it was read.

    Args:
        source: the path of a .csv, .tsv, .txt, .json, .jsonl or .parquet file, which may be packed with gzip; a list
            of such paths; a pandas DataFrame; or an xarray Dataset. If a Dataset already contains trials, only its
            participants are renumbered, from 0.
        columns: a mapping of roles to columns, for columns without a common name. The roles are action, feedback (or
            gain and loss), trial (its number), participant, session, lifetime (such as a block), cue (which bandit was
            played), phase, group, forced (1 if the choice was), counterfactual (the outcome of the other option, or of
            each option), rt (response time), missed (1 if no choice was made), score (the expected pay-off of the
            choice), chance and best (those of a random and of the best choice), means (the expected pay-off of each
            choice), probabilities (with which each choice is made) and offered (the option at each place of the
            screen). Two-stage trials also have the roles second (the second choice), state (to which the first choice
            led) and transition (whether this was common or rare). The roles lifetime, session, cue, counterfactual,
            means, probabilities and offered take several columns, as a list. None or '' keeps a role empty.
        choices: the number of choices, from 2 to 200, if not all of them occur; None if the log shows their number.
        missing: the codes in the column of the action that mean a missed trial, as a list or joined by commas. Common
            codes, such as -1 and 'timeout', are recognised without it.
        where: comparisons that select the rows to read, such as 'phase == "main" and session != 2'; None reads all
            rows except those of practice trials.
        rt: a range of response times, such as '0.15..3', in the unit of their column. Trials with a response time
            outside the range become missing. None excludes no trial.

    Returns:
        The trials, with one condition, 'intact', N lifetimes of T trials, and K choices; and a list of notes. The
        trials contain action [1, N, T] (-1 if missing) and feedback [1, N, T] (NaN if missing). Where the
        log contains the values, the trials also contain score [1, N, T], log_probs [1, N, T, K], chance [N, T], best
        [N, T], worst [N, T], means [N, T, K], offered [N, T, K] (1 if the choice was offered, otherwise 0), forced
        [1, N, T] (1 or 0, -1 if missing), counterfactual [1, N, T] and rt [N, T], and the coordinates participant [N]
        (a number from 0), group [N] and session [N]. In two-stage trials, action is the first choice, and the trials
        also contain transition [1, N, T] (1 common, 0 rare, -1 missing) and, if the log shows them, second_action
        [1, N, T] and second_state [1, N, T] (-1 if missing).

    Raises:
        MesascopeError: an argument is wrong, or the log cannot be read; the message says why (for a bad cell, with its
            row, column and content) and what the user should do.
    """
    is_integer = isinstance(choices, (int, np.integer)) and not isinstance(choices, bool)
    if choices is not None and not (is_integer and 2 <= choices <= MAX_CHOICES):
        problem = f"choices is {quote(choices)}."
        raise MesascopeError(problem, f"Give a whole number from 2 to {MAX_CHOICES}, or leave it out.")
    if isinstance(source, xr.Dataset):
        if source.attrs.get("format") == TRIALS_FORMAT:
            check_trials(source)
            return renumber_participants(source), ["The data set already contains trials and was not converted."]
        source = _tabulate(source, columns)
    table = open_table(source)
    if where is not None:
        table = select_rows(table, where, columns)
    table = stack_wide_table(read_transcripts(table))
    table = leave_out_practice(table, columns) if where is None else table
    table = join_stages(table, columns)
    roles = assign_roles(table, columns)
    table = leave_out_blank_rows(table, roles)
    codes = frozenset(c.strip() for c in (missing.split(",") if isinstance(missing, str) else map(str, missing)))
    lifetime, participants, position, position_notes = locate_rows(table, roles)
    owner = None if participants is None else participants[lifetime]
    n_choices = None if choices is None else int(choices)
    choice_rows, offered, offered_notes = read_offered(table, roles, n_choices, codes)
    choice_rows = renumber_options(choice_rows, offered.get("offered"), lifetime)
    choice_rows, times = exclude_by_rt(table, roles, choice_rows, rt)
    feedback, feedback_notes = read_feedback(table, roles, choice_rows.action, lifetime, position)
    latents, payoff_notes = read_latents(table, roles, choice_rows, feedback, lifetime, position=position)
    stages, stage_notes = read_stages(table, roles, choice_rows, owner, codes)
    context, context_notes = read_context(table, roles, choice_rows)
    rows = {"feedback": feedback, **latents, **offered, **stages, **context} | ({} if times is None else {"rt": times})
    trials = _fill_grid(choice_rows.action, rows, lifetime, position)
    if participants is not None:
        trials = trials.assign_coords(participant=("lifetime", participants))
    trials, label_notes = add_lifetime_labels(trials, table, roles, lifetime, participants)
    notes = [
        f"{format_count(len(table.frame), 'row')} of {table.name}.",
        *table.notes,
        f"Columns: {', '.join(f'{role} = {format_names(names)}' for role, names in sorted(roles.columns.items()))}.",
        *describe_unread_columns(table, roles),
        *roles.notes,
        *describe_phases(table, roles),
        *position_notes,
        *label_notes,
        *_describe_size(trials),
        *choice_rows.notes,
        *offered_notes,
        *context_notes,
        *stage_notes,
        *feedback_notes,
        *payoff_notes,
    ]
    source = f"{len(source)} files" if isinstance(source, (list, tuple)) and len(source) > 1 else source
    source = source[0] if isinstance(source, (list, tuple)) else source
    name = Path(os.fsdecode(source)).name if isinstance(source, (str, os.PathLike)) else "log"
    trials.attrs = {
        "format": TRIALS_FORMAT,
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
    """Copies trials, and numbers their participants from 0 in the natural order of their ids, which are dropped.

    If no participant is given for each lifetime, the copy is unchanged.
    """
    if "participant" not in trials.coords or trials.participant.dims != ("lifetime",):
        return trials.copy()
    ids = [str(p) for p in trials.participant.values.tolist()]
    number_of_id = {name: i for i, name in enumerate(sorted(set(ids), key=make_natural_sort_key))}
    return trials.assign_coords(participant=("lifetime", np.array([number_of_id[i] for i in ids])))


def _tabulate(data: xr.Dataset, columns: Mapping[str, Any] | None) -> Any:
    """Converts an xarray Dataset that does not contain trials yet to a DataFrame with one row per trial."""
    import pandas as pd

    names = [str(n) for n in dict.fromkeys([*data.variables, *data.dims])]
    roles = assign_roles(Table(pd.DataFrame(columns=names), "the Dataset", "row", 0), columns)
    role_columns = [c for role in roles.columns.values() for c in role]
    dims = data[roles.columns["action"][0]].dims
    for name in role_columns:
        if name in data.variables and not set(data[name].dims) <= set(dims):
            problem = (
                f"{quote(name)} has the axes {format_names(data[name].dims)}; the action has {format_names(dims)}."
            )
            raise MesascopeError(problem, "Give both the same axes, or choose one value with .sel or .isel.")
    if not dims:
        raise MesascopeError("The action has no axes, so it is one trial.", "Give it the axes lifetime and trial.")
    variables = [n for n in data.variables if set(data[n].dims) <= set(dims)]
    return data[variables].to_dataframe(dim_order=list(dims)).reset_index()


def _fill_grid(
    action: np.ndarray, rows: Mapping[str, np.ndarray], lifetime: np.ndarray, position: np.ndarray
) -> xr.Dataset:
    """Arranges variables [rows] or [rows, K] as N lifetimes of T trials; positions without a row are missing trials."""
    shape = (int(lifetime.max()) + 1, int(position.max()) + 1)
    data: dict[str, Any] = {}
    for name, values in {"action": action, **rows}.items():
        is_integer = values.dtype.kind == "i"
        by_condition = name in ("feedback", "score", "log_probs", "counterfactual") or (is_integer and values.ndim == 1)
        fill = (-1 if values.ndim == 1 else 1) if is_integer else np.nan
        if name == "log_probs":
            fill = -np.log(values.shape[-1])
        grid = np.full((*shape, *values.shape[1:]), fill, np.int16 if is_integer else np.float32)
        grid[lifetime, position] = values
        axes = (AXES if by_condition else AXES[1:]) + (("choice",) if values.ndim > 1 else ())
        data[name] = (axes, grid[None] if by_condition else grid)
    return xr.Dataset(data, coords={"condition": ["intact"]})


def _describe_size(trials: xr.Dataset) -> list[str]:
    """Describes in notes how many lifetimes and trials there are, and warns of fewer than three units to resample."""
    taken = (trials.action.values[0] >= 0).sum(-1)
    n, length = trials.sizes["lifetime"], trials.sizes["trial"]
    spread = f"{taken.min():,} to {taken.max():,}" if taken.min() < taken.max() else f"{taken.max():,}"
    amount = f"{spread} trials with a choice, padded to {length:,}"
    notes = [f"{format_count(n, 'lifetime')} of {amount if taken.min() < length else format_count(length, 'trial')}."]
    unit = "participants" if "participant" in trials.coords else "lifetimes"
    units = len(np.unique(trials.participant.values)) if unit == "participants" else n
    if units < 3:
        notes.append(f"There are fewer than three {unit} ({units}), so there are no intervals and no claims.")
    return notes
