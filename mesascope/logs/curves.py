"""Reads logged curves: the number of problems, out of n, that a subject solved with each number of thinking steps.

One row is one point of a curve: steps, success (a share or a count) and n. If there is a column of names, each name has
its own curve. The log does not show whether the points of a curve were measured on the same problems, so the points are
treated as independent samples.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mesascope.errors import MesascopeError, require
from mesascope.formats import TRIALS_FORMAT
from mesascope.logs.columns import ALIASES, COLUMN_NAMES, normalise_name, read_labels, read_numbers
from mesascope.logs.sources import open_table
from mesascope.logs.tables import Table, format_count, format_names, quote
from mesascope.trials import AXES, check_trials

CURVE_ALIASES: dict[str, list[str]] = COLUMN_NAMES["curves"]
SHARE_NAMES = ("successrate", "solverate", "sharesolved", "accuracy")  # columns with these names contain shares
COUNT_NAMES = ("successes",)  # columns with these names contain counts
MAX_CELLS = 5_000_000  # the largest n of a curve, times the number of its points
MAX_WHOLE_NUMBER = 10**9


def read_curves(source: Any, columns: Mapping[str, Any] | None = None) -> tuple[list[xr.Dataset], list[str]] | None:
    """Reads curves as trials; each problem becomes a lifetime of one trial.

    Args:
        source: the path of a table, or a pandas DataFrame.
        columns: a mapping of the roles steps, success, n and who (the name of a row's curve) to columns, for columns
            without a common name. With any other role, the table is not read as curves.

    Returns:
        A list with one data set per curve, and notes; None if the source does not contain curves. A data set has a
        condition for each of its C numbers of steps, such as 'steps=100'. The variable `score` [C, N, 1] is 1 if a
        problem was solved and 0 if not; N is the largest number of problems of any condition. The score is NaN where a
        condition has fewer than N problems.

    Raises:
        MesascopeError: a column that the user named does not exist, there are steps and success but no n, a cell does
            not fit the role of its column, or a curve does not fit into memory.
    """
    if isinstance(source, xr.Dataset) or (columns and not set(columns) <= set(CURVE_ALIASES)):
        return None
    table = open_table(source)
    header = {normalise_name(c): c for c in table.header}
    found = {role: next((header[n] for n in names if n in header), None) for role, names in CURVE_ALIASES.items()}
    for role, column in (columns or {}).items():
        problem = f"{table.name} has no column {quote(column)}."
        require(column in table.header, problem, f"The table has {format_names(table.header)}.")
        found[role] = column
    steps, success, n = found["steps"], found["success"], found["n"]
    if steps is None or success is None or (not columns and any(a in header for a in ALIASES["action"])):
        return None
    if n is None:
        raise MesascopeError(
            f"{table.name} has steps ({quote(steps)}) and success ({quote(success)}), but no number of problems.",
            "Add a column n; or, if it is a log of choices, name its columns: --columns action=NAME,feedback=NAME.",
        )
    points, counts = _read_whole_numbers(table, steps, 0), _read_whole_numbers(table, n, 1)
    solved, notes_on_shares = _count_solved(table, success, counts)
    if found["who"]:
        owner, names = read_labels(table, found["who"])
    else:
        name = Path(source).stem if isinstance(source, (str, Path)) else "curve"
        owner, names = np.zeros(len(points), int), [name]
    table.refuse_bad_rows(
        owner < 0, str(found["who"]), "{place} does not name a curve.", "Fill it in, or leave the row out."
    )
    if repeats := len(points) - len({*zip(points.tolist(), owner.tolist(), strict=True)}):
        notes_on_shares.append(
            f"{format_count(repeats, 'row')} with steps that the curve already has; they are pooled."
        )
    notes = [
        f"{format_count(len(points), 'point')} of {table.name}: {format_names(list(filter(None, found.values())))}.",
        *notes_on_shares,
        "Points are treated as independent samples, because the log does not show whether they share problems.",
    ]
    rows = [(str(names[i]), owner == i) for i in np.unique(owner)]
    return [_make_curve(points[mask], solved[mask], counts[mask], name, table.name) for name, mask in rows], notes


def _read_whole_numbers(table: Table, column: str, minimum: int) -> np.ndarray:
    """Reads a column of whole numbers, each of which must be from `minimum` to MAX_WHOLE_NUMBER."""
    values = read_numbers(table, column, "steps")
    is_bad = ~np.isfinite(values) | (values != np.round(values)) | (values < minimum) | (values > MAX_WHOLE_NUMBER)
    fault = f"is not a whole number from {minimum} to {MAX_WHOLE_NUMBER:,}"
    table.refuse_bad_rows(is_bad, column, f"{{place}}: {{cell}} {fault}.", "Leave such rows out.")
    return values.astype(np.int64)


def _count_solved(table: Table, column: str, problem_counts: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Counts the problems solved in each row, and returns notes on how the column was read."""
    values, name = read_numbers(table, column, "success"), normalise_name(column)
    is_bad = ~np.isfinite(values) | (values < 0)
    is_integer = not is_bad.any() and bool((values == np.round(values)).all())
    if is_integer and values.max() == 1 and problem_counts.max() > 1 and name not in (*SHARE_NAMES, *COUNT_NAMES):
        raise MesascopeError(
            f"{quote(column)} of {table.name} contains only 0 and 1, which could be shares or counts.",
            "Call the column success_rate if it contains shares, or successes if it contains counts.",
        )
    has_counts = name in COUNT_NAMES or (is_integer and bool((values > 1).any()) and name not in SHARE_NAMES)
    is_bad |= values > (problem_counts if has_counts else 1)
    if is_bad.any():
        limit = int(problem_counts[is_bad.argmax()])
        problem = f"{{place}}: {{cell}} is neither a share from 0 to 1 nor a count up to {limit:,}."
        table.refuse_bad_rows(is_bad, column, problem, "Give shares, or counts in every row.")
    reading = "counts" if has_counts else "shares; the number solved is the share times n, rounded"
    return np.round(values if has_counts else values * problem_counts).astype(np.int64), [
        f"{quote(column)} holds {reading}."
    ]


def _make_curve(
    steps: np.ndarray, solved_counts: np.ndarray, problem_counts: np.ndarray, name: str, source: str
) -> xr.Dataset:
    """Makes the data set of one curve; rows with the same number of steps are pooled."""
    points = np.unique(steps)
    hits, n = (np.array([x[steps == p].sum() for p in points]) for x in (solved_counts, problem_counts))
    if n.max() * len(points) > MAX_CELLS:
        raise MesascopeError(
            f"The curve of {quote(name)} has points of up to {int(n.max()):,} problems, which do not fit into memory.",
            "Divide every n by the same factor; the intervals are then too wide, never too narrow.",
        )
    place = np.arange(n.max())
    score = np.where(place < n[:, None], (place < hits[:, None]), np.nan)[..., None].astype(np.float32)
    curve = xr.Dataset(
        {"action": (AXES, np.full(score.shape, -1, np.int16)), "feedback": (AXES, score), "score": (AXES, score)},
        coords={"condition": [f"steps={p}" for p in points]},
        attrs={
            "format": TRIALS_FORMAT,
            "family": "log",
            "split": "curve",
            "subject": name,
            "trained_on": "unknown",
            "source": source,
            "choices": 2,
            "unit": "problem",
        },
    )
    check_trials(curve)
    return curve
