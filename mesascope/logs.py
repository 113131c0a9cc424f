"""Logs: what somebody did on trials that were written down, read as trials without a subject.

    trials, notes = read_log("experiment.csv")
    trials, notes = read_log(frame, columns={"action": "key", "lifetime": ["session", "block"]})

One row is one trial. A lifetime is a participant, within a block, session or episode where the log has them. What
was decided on the way stands in the notes, which the trials carry too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mesascope.codes import MOST_CHOICES, actions
from mesascope.columns import Roles, labels, numbers, resolve, typed
from mesascope.errors import MesascopeError
from mesascope.tables import Table, listed, open_table, show
from mesascope.trials import AXES, FORMAT, check

REALISED, EXPECTED = "realised pay-off", "expected pay-off"


def read_log(
    source: Any, columns: Mapping[str, Any] | None = None, choices: int | None = None
) -> tuple[xr.Dataset, list[str]]:
    """A log as trials, with what was decided in reading it.

    Args:
        source: path of a .csv, .tsv, .txt, .jsonl or .parquet file, a pandas DataFrame with one row per trial, or an
            xarray Dataset.
        columns: role to column where names are not among `mesascope.columns.ALIASES`; the roles are action, feedback
            (or gain and loss), trial, participant, lifetime, missed, score, chance, best, means and probabilities.
            lifetime, means and probabilities take several columns. None or '' keeps a role empty.
        choices: how many choices there were, where not all of them occur.

    Returns:
        Trials with one condition, 'intact', and N lifetimes of T trials: action [1, N, T] (-1 where missing), feedback
        [1, N, T] (NaN where missing); where the log has them score [1, N, T], log_probs [1, N, T, K], chance, best
        and worst [N, T], means [N, T, K]; the coordinate participant [N], counted from 0; and the notes, one
        sentence each.

    Raises:
        MesascopeError: names the row and the column, what is there, and what to type.
    """
    wrong = isinstance(choices, (bool, np.bool_)) or not isinstance(choices, (int, np.integer, type(None)))
    if wrong or (choices is not None and not 2 <= choices <= MOST_CHOICES):
        raise MesascopeError(
            f"choices is {show(choices)}.", f"It is a whole number from 2 to {MOST_CHOICES}, or left out."
        )
    if isinstance(source, xr.Dataset):
        if source.attrs.get("format") == FORMAT:
            check(source)
            return source.copy(), ["The data set already held trials, and was taken as it is."]
        source = _long(source, columns)
    table = open_table(source)
    roles = resolve(table, columns)
    notes = [f"{len(table.frame):,} rows of {show(table.name)}.", *table.said]
    notes.append("Columns: " + ", ".join(f"{r} = {listed(c)}" for r, c in sorted(roles.of.items())) + ".")
    notes += roles.said
    life, person, place = _places(table, roles, notes)
    action, k = actions(table, roles, None if choices is None else int(choices), notes)
    feedback = _feedback(table, roles, action, notes)
    rows = {"feedback": feedback, **_latents(table, roles, action, k, life, place, feedback, notes)}
    shape = (int(life.max()) + 1, int(place.max()) + 1)
    trials = _spread(action, rows, life, place, shape)
    if person is not None:
        trials = trials.assign_coords(participant=("lifetime", person))
    _count(trials, roles, notes)
    spare = [str(c) for c in table.frame.columns if not any(c in used for used in roles.of.values())]
    if spare:
        notes.append(f"Columns that were not read: {listed(spare)}.")
    trials.attrs = {
        "format": FORMAT,
        "family": "log",
        "ring": "logged",
        "subject": _stem(source),
        "trained_on": "unknown",
        "source": table.name,
        "choices": k,
        "unit": "lifetime" if person is None else "participant",
        "payoff": EXPECTED if "score" in trials else REALISED,
        "notes": notes,
    }
    check(trials)
    return trials, list(notes)


def _stem(source: Any) -> str:
    return Path(os.fsdecode(source)).stem if isinstance(source, (str, os.PathLike)) else "log"


def _long(data: xr.Dataset, columns: Mapping[str, Any] | None) -> Any:
    """A data set that is no trials yet as a table with one row per trial."""
    import pandas as pd

    names = [str(n) for n in dict.fromkeys([*data.variables, *data.dims])]
    roles = resolve(Table(pd.DataFrame(columns=names), "the Dataset", "row", 0), columns)
    used = [c for role in roles.of.values() for c in role]
    dims = data[roles.of["action"][0]].dims
    for name in used:
        if name in data.variables and not set(data[name].dims) <= set(dims):
            raise MesascopeError(
                f"The variable {show(name)} has the axes {listed(data[name].dims)}, the action {listed(dims)}.",
                "Give both the same axes, or choose one value with .sel or .isel.",
            )
    held = [n for n in data.variables if set(data[n].dims) <= set(dims)]
    return (
        data[held].to_dataframe(dim_order=list(dims)).reset_index() if dims else pd.DataFrame(columns=names)
    )


def _places(table: Table, roles: Roles, notes: list[str]) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Per row its lifetime and its place in it; per lifetime its participant."""
    parts = [c for role in ("participant", "lifetime") for c in roles.of.get(role, [])]
    life = np.zeros(len(table.frame), np.int64)
    person = None
    for column in parts:
        codes, names = labels(table, column)
        if (codes < 0).any():
            row = int(np.flatnonzero(codes < 0)[0])
            raise MesascopeError(
                f"{table.place(row, column)} is empty ({int((codes < 0).sum()):,} such rows), and says whose "
                "trial it is.",
                f"Fill it in, leave the row out, or read another column: {typed('lifetime')}.",
            )
        life = np.unique(life * len(names) + codes, return_inverse=True)[1]
        if column == roles.one("participant"):
            person = codes
    n = int(life.max()) + 1
    _, first, size = np.unique(life, return_index=True, return_counts=True)
    owners = None if person is None else person[first]
    if size.max() == 1:
        raise MesascopeError(
            f"Each of the {n:,} lifetimes has one trial, so nothing can change within one; a lifetime is "
            f"{listed(parts)}.",
            f"Name the columns that stay the same within a lifetime: {typed('lifetime')}.",
        )
    what = " × ".join(show(c) for c in parts) if parts else "the whole log, for no column tells them apart"
    if "lifetime" in roles.of and "participant" in roles.of:
        what += f"; where the task runs on across them, type {typed('lifetime', '')}"
    notes.append(f"A lifetime is {what}.")
    if owners is not None:
        number = len(np.unique(owners))
        notes.append(f"Intervals resample the {number:,} participants, numbered in the order of their ids.")
    column = roles.one("trial")
    if column is None:
        notes.append("No column numbers the trials: within a lifetime the order of the rows counts.")
        place = _rank(life, np.arange(len(life)), size)
    else:
        place = _numbered(table, column, life, owners, size, parts, notes)
    if n * (int(place.max()) + 1) > max(20 * len(life), 50_000_000):
        raise MesascopeError(
            f"There are {n:,} lifetimes, most of {int(np.median(size)):,} trials and one of "
            f"{int(place.max()) + 1:,}; padded to one length they do not fit.",
            f"Name the columns that tell lifetimes apart: {typed('lifetime')}.",
        )
    return life, owners, place


def _rank(life: np.ndarray, key: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Per row its rank by key within its lifetime."""
    order = np.lexsort((key, life))
    rank = np.empty(len(life), np.int64)
    rank[order] = np.arange(len(life)) - np.repeat(np.cumsum(size) - size, size)
    return rank


def _numbered(
    table: Table,
    column: str,
    life: np.ndarray,
    owners: np.ndarray | None,
    size: np.ndarray,
    parts: list[str],
    notes: list[str],
) -> np.ndarray:
    """Per row its place by the numbers of the trials, in which gaps stay gaps."""
    number = numbers(table, column, "trial", largest=2.0**53)
    for bad, what in (
        (np.isnan(number), "is empty, so the trial has no place"),
        (number != np.round(number), "is no whole number"),
        (number < 0, "is a negative trial number"),
    ):
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise MesascopeError(
                f"{table.place(row, column)}: {show(table.frame[column].iloc[row])} {what} "
                f"({int(bad.sum()):,} such rows).",
                f"Leave such rows out, number trials from 0 or 1, or type {typed('trial', '')} to go by row order.",
            )
    number = number.astype(np.int64)
    order = np.lexsort((number, life))
    same = (np.diff(life[order]) == 0) & (np.diff(number[order]) == 0)
    if same.any():
        at = int(np.flatnonzero(same)[0])
        one, two = sorted((int(order[at]), int(order[at + 1])))
        whose = f"by {listed(parts)} they" if parts else "no column names a participant, so they"
        unread = [str(c) for c in table.frame.columns if c != column and c not in parts]
        raise MesascopeError(
            f"{table.place(two, column)}: trial {number[two]} is there already, in {table.word} "
            f"{int(table.frame.index[one]) + table.first}; {whose} are one lifetime ({int(same.sum()):,} such rows).",
            f"Leave one out, or name the columns that tell lifetimes apart, {typed('lifetime')}; "
            f"the others are {listed(unread)}.",
        )
    ends = np.cumsum(size) - 1
    low, high = number[order][ends - size + 1], number[order][ends]
    start = np.full(len(size), low.min())
    if _disjoint(low, high, np.zeros(len(size)) if owners is None else owners) or _disjoint(
        low, high, np.zeros(len(size))
    ):
        start = low
        if len(size) > 1:
            notes.append("Trial numbers run on from one lifetime to the next: each starts at its first.")
    place = number - start[life]
    if int(place.max()) + 1 > 3 * int(size.max()) + 10:
        notes.append(
            f"Numbers of trials leap, up to {int(number.max()):,}: their order counts, without gaps."
        )
        return _rank(life, number, size)
    gaps = int((high - start + 1 - size).sum())
    if gaps:
        notes.append(f"{gaps:,} numbers of trials have no row: missing trials.")
    return place


def _disjoint(low: np.ndarray, high: np.ndarray, group: np.ndarray) -> bool:
    """Whether ranges do not meet within any group, and some group has several."""
    order = np.lexsort((low, group))
    near = np.diff(group[order]) == 0
    return bool((near.any() or len(low) == 1) and (low[order][1:] > high[order][:-1])[near].all())


def _feedback(table: Table, roles: Roles, action: np.ndarray, notes: list[str]) -> np.ndarray:
    """Per row the feedback, NaN where the trial is missing."""
    present = action >= 0
    column = roles.one("feedback")
    if column is not None:
        value = numbers(table, column, "feedback")
        far = np.isin(value, (-99, -999, -9999, -99999, 999, 9999, 99999)) & present
        rest = value[~far & present & ~np.isnan(value)]
        far &= np.abs(value) > 10 * np.abs(rest).max() if rest.size and np.ptp(rest) > 0 else False
        if far.any():
            notes.append(
                f"Feedback far outside the rest, read as missing: {listed(np.unique(value[far]))} "
                f"({int(far.sum()):,})."
            )
            value = np.where(far, np.nan, value)
    else:
        parts = [
            sign(numbers(table, roles.of[role][0], role))
            for role, sign in (("gain", np.positive), ("loss", lambda x: -np.abs(x)))
            if role in roles.of
        ]
        value = np.where(np.isnan(parts).all(0), np.nan, np.nansum(parts, 0))
    value = np.where(present, value, np.nan)
    bare = int((present & np.isnan(value)).sum())
    if bare == present.sum():
        raise MesascopeError(
            f"{listed(roles.of.get('feedback') or [*roles.of.get('gain', []), *roles.of.get('loss', [])])} "
            "holds no feedback on any trial that has a choice.",
            f"Name the column of the feedback: {typed('feedback')}.",
        )
    if bare:
        notes.append(
            f"{bare:,} trials have a choice and no feedback: the feedback is missing, the choice stays."
        )
    lost = value[present & ~np.isnan(value)]
    if np.ptp(lost) == 0:
        notes.append(f"The feedback is {lost[0]:g} on every trial: nothing can be acquired from it.")
    return value


def _latents(
    table: Table,
    roles: Roles,
    action: np.ndarray,
    k: int,
    life: np.ndarray,
    place: np.ndarray,
    feedback: np.ndarray,
    notes: list[str],
) -> dict[str, np.ndarray]:
    """Per row what the subject did not see, and its own probabilities, as far as the log has them."""
    out: dict[str, np.ndarray] = {}
    present = action >= 0

    def keep(role: str, build: Any) -> None:
        try:
            out.update(build())
        except MesascopeError as error:
            if role in roles.asked:
                raise
            notes.append(f"{listed(roles.of.pop(role))} not read as {role}: {error.problem}")

    def refuse(role: str, bad: np.ndarray, why: str) -> None:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise MesascopeError(
                f"{table.place(row, roles.of[role][0])}: {why}.",
                f"Mend it, or type {typed(role, '')} to leave it out.",
            )

    def many(role: str) -> np.ndarray:
        columns, ends = roles.of[role], roles.suffixes.get(role)
        if ends and not ends[0].isdecimal():
            names = [n.casefold() for n in roles.said]
            columns = [
                c
                for _, c in sorted(
                    (names.index(e.casefold()), c)
                    for e, c in zip(ends, columns, strict=True)
                    if e.casefold() in names
                )
            ]
        if len(columns) != k:
            raise MesascopeError(
                f"There are {len(columns)} such columns and {k} choices.", "There is one column per choice."
            )
        return np.stack([numbers(table, c, role) for c in columns], -1)

    def probabilities() -> dict[str, np.ndarray]:
        p = many("probabilities")
        refuse("probabilities", present & np.isnan(p).any(-1), "a choice has no probability")
        refuse("probabilities", present & (p < 0).any(-1), "a probability is negative")
        refuse(
            "probabilities", present & (np.abs(p.sum(-1) - 1) > 1e-3), "the probabilities do not add up to 1"
        )
        p = np.where(present[:, None], p, 1 / k)
        return {"log_probs": np.log(np.maximum(p, 1e-12))}

    def means() -> dict[str, np.ndarray]:
        m = many("means")
        refuse("means", np.isnan(m).any(-1), "a mean is missing")
        won = np.where(present, m[np.arange(len(m)), np.maximum(action, 0)], np.nan)
        return {"means": m, "score": won, "chance": m.mean(-1), "best": m.max(-1), "worst": m.min(-1)}

    def score() -> dict[str, np.ndarray]:
        value = np.where(present, numbers(table, roles.of["score"][0], "score"), np.nan)
        order = np.lexsort((place, life))
        step = np.diff(value[order])
        inner = (np.diff(life[order]) == 0) & np.isfinite(step) & np.isfinite(feedback[order][1:])
        total = np.abs(step - feedback[order][1:])[inner]
        refuse(
            "score",
            np.array([total.size > 1 and total.max() < 1e-6 and np.ptp(value[present]) > 0]),
            "it is the running total of the feedback",
        )
        refuse("score", np.array([np.isnan(value).all()]), "it is empty on every trial")
        return {"score": value}

    def bound(role: str) -> dict[str, np.ndarray]:
        value = numbers(table, roles.of[role][0], role)
        refuse(role, present & np.isnan(value), "it is empty on a trial that has a choice")
        if role == "best":
            for other in ("score", "chance"):
                low = out.get(other, np.full(len(value), np.nan))
                refuse(role, value < low - 1e-6, f"the best attainable score is below the {other}")
        return {role: value}

    for role, build in (("probabilities", probabilities), ("means", means), ("score", score)):
        if role in roles.of:
            keep(role, build)
    for role in ("chance", "best"):
        if role in roles.of:
            keep(role, lambda role=role: bound(role))
    if "probabilities" in roles.of:
        notes.append(
            f"{listed(roles.of['probabilities'])}: the probabilities with which the choices were made."
        )
    notes.append(
        "Scores are expected pay-offs, as logged."
        if "score" in out
        else "The log holds no expected pay-offs: findings use the feedback, the realised pay-off."
    )
    return out


def _spread(
    action: np.ndarray,
    rows: Mapping[str, np.ndarray],
    life: np.ndarray,
    place: np.ndarray,
    shape: tuple[int, int],
) -> xr.Dataset:
    """Rows put in their places [N, T]; what no row fills is missing."""
    grid = np.full(shape, -1, np.int16)
    grid[life, place] = action
    data: dict[str, Any] = {"action": (AXES, grid[None])}
    for name, value in rows.items():
        lived = name in ("feedback", "score", "log_probs")
        fill = -np.log(value.shape[-1]) if name == "log_probs" else np.nan
        grid = np.full((*shape, *value.shape[1:]), fill, np.float32)
        grid[life, place] = value
        axes = (AXES if lived else AXES[1:]) + (("choice",) if value.ndim > 1 else ())
        data[name] = (axes, grid[None] if lived else grid)
    return xr.Dataset(data, coords={"condition": ["intact"]})


def _count(trials: xr.Dataset, roles: Roles, notes: list[str]) -> None:
    """Says how much there is, and where it is too little."""
    there = (trials.action.values[0] >= 0).sum(-1)
    n, length = trials.sizes["lifetime"], trials.sizes["trial"]
    spread = f"{there.min():,} to {there.max():,}" if there.min() < there.max() else f"{there.max():,}"
    padded = f", padded to {length:,}" if there.min() < length else ""
    notes.append(f"{n:,} lifetimes of {spread} trials with a choice{padded}.")
    units = len(np.unique(trials.participant.values)) if "participant" in trials.coords else n
    unit = "participants" if "participant" in trials.coords else "lifetimes"
    if units == 1:
        notes.append(f"There is nothing to resample, only one of the {unit}: no interval and no claim.")
    elif units < 3:
        notes.append(f"There are {units} {unit}, fewer than three: no interval and no claim.")
