"""Finds the role of each column of a log, and reads its cells as numbers or labels."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mesascope.catalogue import make_list
from mesascope.errors import MesascopeError, make_unknown_name_error
from mesascope.logs.tables import Table, format_count, format_names, quote

COLUMN_NAMES = tomllib.loads((Path(__file__).parent / "column_names.toml").read_text(encoding="utf-8"))
ALIASES: dict[str, list[str]] = COLUMN_NAMES["trials"]
FALLBACK_ALIASES: dict[str, list[str]] = COLUMN_NAMES["fallback"]
# names of columns that contain the option on one side of a screen
SCREEN_SIDE_PATTERN = r"(arm|option|stim|stimulus|image|machine|bandit|cue)(left|right)"
NUMBERED_COLUMN_PATTERNS: dict[
    str, str
] = {  # for each role, a pattern for the names of its columns, without the number
    "probabilities": r"(?:p|prob|paction|probaction|pchoice|probchoice)",
    "means": r"(?:mean|mu|armmean|truemean)",
}
ROLES = tuple(sorted({*ALIASES, *NUMBERED_COLUMN_PATTERNS, "offered"} - {"correct"}))
MULTI_COLUMN_ROLES = ("lifetime", "session", "cue", "counterfactual", "offered", *NUMBERED_COLUMN_PATTERNS)
MANDATORY_ROLES = ("action", "feedback", "participant")  # if several columns fit one of these, the user must choose
CURRENCY_PATTERN = re.compile(r"^([+-]?)\s*[$€£¥]\s*(?=[\d.+-])")
NUMBER_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "rewarded", "reward", "correct"), "1"),
    **dict.fromkeys(("false", "no", "n", "unrewarded", "no reward", "incorrect"), "0"),
}
EMPTY_CELLS = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "nat", ".", "missing", "missed"))


@dataclass
class Roles:
    """The columns of a log by role.

    Args:
        columns: for each role that is in use, the names of its columns.
        suffixes: for the roles probabilities and means, the end of each column's name, such as '1' of mean_1, which
            tells the choice; without an entry if the user named the columns.
        requested_roles: the roles for which the user named columns.
        empty_roles: the roles that the user keeps empty (None or '').
        notes: sentences on how roles were assigned.
    """

    columns: dict[str, list[str]] = field(default_factory=dict)
    suffixes: dict[str, list[str]] = field(default_factory=dict)
    requested_roles: set[str] = field(default_factory=set)
    empty_roles: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def get_column(self, role: str) -> str | None:
        """Returns the column of a role that takes only one column; None if the role is not in use."""
        return self.columns[role][0] if role in self.columns else None

    def remove(self, roles: Iterable[str]) -> None:
        """Removes roles, for example because their columns cannot be read."""
        for role in roles:
            del self.columns[role]


def normalise_name(name: str) -> str:
    """Converts a name to lower case, and removes every character except digits and the letters a to z."""
    return re.sub(r"[^0-9a-z]", "", name.casefold())


def parse_roles(text: str) -> dict[str, str] | None:
    """Parses roles and columns from a text such as 'action=key,lifetime=session+block'; returns None for an empty text.

    Raises:
        MesascopeError: a part has no '=', or a role occurs twice.
    """
    roles: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        role, equals, column = pair.partition("=")
        if not equals:
            raise MesascopeError(f"{pair!r} in --columns has no '='.", "Type --columns action=NAME,feedback=NAME.")
        if role in roles:
            remedy = f"Give it once; join several columns: {role}=A+B."
            raise MesascopeError(f"{role!r} is given twice in --columns.", remedy)
        roles[role] = column
    return roles or None


def format_role_option(role: str, name: str = "NAME") -> str:
    """Formats what the user should type to give a column a role."""
    return f"--columns {role}={name} (in Python columns={{{role!r}: {name!r}}})"


def assign_roles(table: Table, columns: Mapping[str, Any] | None) -> Roles:
    """Assigns columns to roles, first as the user requested, then by their common names.

    Args:
        table: the log as a table.
        columns: a mapping of roles to columns. The roles in MULTI_COLUMN_ROLES take several columns, as a list or
            joined by '+'. None or '' keeps a role empty.

    Raises:
        MesascopeError: a role or column does not exist, a column has two roles, a role has the wrong number of columns,
            several columns could be the action, the feedback or the participant, or there is no action or no feedback.
    """
    roles = Roles()
    roles.empty_roles = empty_roles = _assign_requested_columns(table, columns, roles)
    settled_roles = {*roles.columns, *empty_roles}
    claimed_columns = {c for names in roles.columns.values() for c in names}
    unclaimed_columns = [c for c in table.header if c not in claimed_columns]
    for role, names in ALIASES.items():
        if role not in settled_roles and (found := _find_columns(table, role, names, unclaimed_columns)):
            roles.columns[role] = found if role in MULTI_COLUMN_ROLES else _pick_column(table, role, found, roles)
            if not roles.columns[role]:
                del roles.columns[role]
    for role, prefix in NUMBERED_COLUMN_PATTERNS.items():
        found = sorted(
            (int(m[1]), c) for c in unclaimed_columns if (m := re.fullmatch(rf"{prefix}(\d+)", normalise_name(c)))
        )
        by_suffix = {str(n): c for n, c in found}
        if role == "probabilities" and not found:
            by_suffix = {m[1]: c for c in unclaimed_columns if (m := re.fullmatch(r"(?i)p_action_(.+)", c))}
        elif [n for n, _ in found] not in (list(range(len(found))), list(range(1, len(found) + 1))):
            continue
        if role not in settled_roles and len(by_suffix) > 1:
            roles.columns[role], roles.suffixes[role] = list(by_suffix.values()), list(by_suffix)
    found = [c for c in unclaimed_columns if normalise_name(c) in COLUMN_NAMES["first_stage_actions"]]
    if "action" not in {*roles.columns, *empty_roles} and len(found) == 1:
        roles.columns["action"] = found
    by_side = sorted(
        (m[2], c) for c in unclaimed_columns if (m := re.fullmatch(SCREEN_SIDE_PATTERN, normalise_name(c)))
    )
    if "offered" not in settled_roles and [side for side, _ in by_side] == ["left", "right"]:
        roles.columns["offered"] = [c for _, c in by_side]
    for role, names in FALLBACK_ALIASES.items():
        if role not in {*roles.columns, *empty_roles} and (
            role != "feedback" or not {"gain", "loss"} & {*roles.columns}
        ):
            used = {c for own in roles.columns.values() for c in own}
            found = _find_columns(table, role, names, [c for c in unclaimed_columns if c not in used])
            if role == "participant":  # names such as 'id' may number the rows
                found = [c for c in found if 1 < _count_values(table, c) <= len(table.frame) / 2]
            roles.columns |= {role: found[:1]} if found else {}
    if table.file_column and table.file_column not in {c for own in roles.columns.values() for c in own}:
        _assign_file_column(table, roles, empty_roles)
    if not {"second", "transition"} & roles.columns.keys() and "state" not in roles.requested_roles:
        roles.columns.pop("state", None)
    _choose_feedback(table, roles, "feedback" in empty_roles)
    return roles


def _count_values(table: Table, column: str) -> int:
    """Counts the distinct cells of a column, compared as texts."""
    return len(set(table.frame[column].astype(str)))


def _find_columns(table: Table, role: str, names: list[str], unclaimed_columns: list[str]) -> list[str]:
    """Finds the unclaimed columns with a common name of a role, in the order of these names.

    Columns that contain lists or mappings are left out, and so are constant columns, unless no column would remain.
    """
    found = sorted(
        (c for c in unclaimed_columns if normalise_name(c) in names), key=lambda c: names.index(normalise_name(c))
    )
    single = [c for c in found if not any(isinstance(v, (list, dict)) for v in table.frame[c].iloc[:1000])]
    found = single or found
    varied = [c for c in found if len(found) > 1 and _count_values(table, c) > 1]
    return varied or found


def _pick_column(table: Table, role: str, candidates: list[str], roles: Roles) -> list[str]:
    """Picks one of the columns that could have a role, and returns it as a list.

    The list is empty if several columns could have an optional role other than trial and correct.

    Raises:
        MesascopeError: the role is mandatory, and the cells of the columns do not correspond one to one, so the user
            must choose.
    """
    if len(candidates) > 1 and role in MANDATORY_ROLES:
        codes = [read_cells(table, c)[0] for c in candidates]
        pairs = [len(np.unique(np.stack([codes[0], other]), axis=1).T) for other in codes[1:]]
        if any(n > min(len(np.unique(codes[0])), len(np.unique(c))) for n, c in zip(pairs, codes[1:], strict=True)):
            problem = f"{len(candidates)} columns of {table.name} could be the {role}: {format_names(candidates)}."
            raise MesascopeError(problem, f"Name one: {format_role_option(role, candidates[0])}.")
    elif len(candidates) > 1 and role not in ("trial", "correct"):
        roles.notes.append(f"{format_names(candidates)} could each be the {role}, so none of them was read.")
        return []
    return candidates[:1]


def _assign_file_column(table: Table, roles: Roles, empty_roles: set[str]) -> None:
    """Uses the column with the file of each row as the participant or, if participants have several files, as lifetime.

    In the second case, the column divides lifetimes together with the columns that already do.
    """
    column, participant = table.file_column, roles.get_column("participant")
    pairs = set(zip(table.frame[column], table.frame[participant or column], strict=True))
    if participant is None and "participant" not in empty_roles:
        roles.columns["participant"] = [column]
    elif participant and "lifetime" not in empty_roles and len(set(table.frame[participant])) < len(pairs):
        roles.columns["lifetime"] = [*roles.columns.get("lifetime", []), column]


def _assign_requested_columns(table: Table, columns: Any, roles: Roles) -> set[str]:
    """Assigns the columns that the user named, and returns the roles that the user keeps empty."""
    if columns is None:
        return set()
    if not isinstance(columns, Mapping):
        problem = f"columns is a {type(columns).__name__}."
        raise MesascopeError(problem, "Give a mapping of roles to columns, such as {'action': 'my_column'}.")
    header = table.header
    empty_roles: set[str] = set()
    claimed_columns: dict[str, str] = {}
    for role, requested in columns.items():
        if role not in ROLES:
            if role in header and requested in ROLES:
                problem = f"columns maps the column {quote(role)} to the role {requested!r}."
                raise MesascopeError(problem, f"Swap them: {format_role_option(requested, role)}.")
            raise make_unknown_name_error("role of a column", quote(role)[1:-1], ROLES)
        names = [str(n) for n in make_list(requested) or ()]
        if names in ([], [""]):
            empty_roles.add(role)
            continue
        if len(names) == 1 and names[0] not in header and "+" in names[0]:
            names = [n.strip() for n in names[0].split("+")]
        for i, column in enumerate(names):
            similar = [c for c in header if normalise_name(c) == normalise_name(column)]
            if column not in header and len(similar) == 1:
                names[i] = column = similar[0]
            if column not in header:
                problem = f"{table.name} has no column {quote(column)} for the role {role}."
                raise MesascopeError(problem, f"Its columns are {format_names(header, 30)}.")
            if column in claimed_columns:
                problem = f"The column {quote(column)} has two roles, {claimed_columns[column]} and {role}."
                raise MesascopeError(problem, "Give every column one role.")
            claimed_columns[column] = role
        if len(names) > 1 and role not in MULTI_COLUMN_ROLES:
            raise MesascopeError(f"The role {role} has {len(names)} columns: {format_names(names)}.", "Name one.")
        if len(names) == 1 and role in (*NUMBERED_COLUMN_PATTERNS, "offered"):
            remedy = f"Give one column per choice, in the order of the choices: {format_role_option(role, 'A+B')}."
            raise MesascopeError(f"The role {role} has one column, {quote(names[0])}.", remedy)
        roles.columns[role] = names
        roles.requested_roles.add(role)
    return empty_roles


def _choose_feedback(table: Table, roles: Roles, is_feedback_empty: bool) -> None:
    """Decides which columns give the feedback, and raises MesascopeError if the log has no action or no feedback."""
    columns, notes = roles.columns, roles.notes
    lacks = f"{table.name} has no column with a common name for the {{}}; its columns are {{}}."
    if "action" not in columns:
        raise MesascopeError(
            lacks.format("action", format_names(table.header, 30)), f"Name it: {format_role_option('action')}."
        )
    if "feedback" not in roles.requested_roles and {"gain", "loss"} & roles.requested_roles:
        columns.pop("feedback", None)
    is_net = "loss" not in columns or "gain" in columns or "feedback" in roles.requested_roles
    if "feedback" in columns and not is_net and (read_numbers(table, columns["feedback"][0], "feedback") >= 0).all():
        columns["gain"] = columns.pop("feedback")  # pay-offs that are never negative, beside losses
    if "feedback" in columns:
        unread_columns = [columns.pop(r)[0] for r in ("gain", "loss") if r in columns]
        if unread_columns:
            notes.append(f"{format_names(unread_columns)} not read: {quote(columns['feedback'][0])} is the feedback.")
    elif "gain" in columns or "loss" in columns:
        prefixes = {"gain": "", "loss": "minus the size of "}
        parts = [f"{prefix}{quote(columns[r][0])}" for r, prefix in prefixes.items() if r in columns]
        notes.append(f"Feedback is {' '.join(parts)}.")
    elif len(columns.get("counterfactual", [])) > 1:
        options = format_names(columns["counterfactual"])
        notes.append(f"Feedback is the outcome of the choice, from {options}, in the order of the choices.")
    else:
        substitutes = [r for r in ("correct", "score") if r in columns and r not in roles.requested_roles]
        if not substitutes or is_feedback_empty:
            problem = lacks.format("feedback", format_names(table.header, 30))
            raise MesascopeError(problem, f"Name it: {format_role_option('feedback')}, or gain and loss.")
        columns["feedback"] = columns.pop(substitutes[0])
        notes.append(f"{quote(columns['feedback'][0])} is read as the feedback, because there is no other.")
    columns.pop("correct", None)


def read_cells(table: Table, column: str) -> tuple[np.ndarray, list[Any], np.ndarray]:
    """Reads a column as codes [rows], which are indices of its distinct values.

    The function also returns these values, and a mask of the values that mean an empty cell.

    Raises:
        MesascopeError: a cell contains a list or an object.
    """
    import pandas as pd

    series = table.frame[column]
    try:
        if isinstance(series.dtype, pd.CategoricalDtype):
            codes, values = series.cat.codes.to_numpy(), list(series.cat.categories)
        else:
            codes, values = pd.factorize(series)
    except TypeError:
        row = next(i for i, v in enumerate(series) if isinstance(v, (list, dict, set, np.ndarray)))
        problem = f"{table.describe_cell(row, column)} contains more than one value: {quote(series.iloc[row])}."
        raise MesascopeError(problem, "Every cell needs one number or one name.") from None
    values = [*values, ""]  # the code -1 of pandas, for an empty cell, becomes the index of this last value
    is_empty = np.array([str(v).strip().casefold() in EMPTY_CELLS for v in values])
    return np.asarray(codes, np.int64) % len(values), values, is_empty


def read_numbers(table: Table, column: str, role: str, max_size: float = 1e30) -> np.ndarray:
    """Reads a column as numbers [rows], with NaN for empty cells; words such as 'yes' and 'no' become 1 and 0.

    Raises:
        MesascopeError: a cell is not a number, or is infinite or larger in size than `max_size`.
    """
    series: Any = table.frame[column]
    if series.dtype.kind in "iuf":
        result = series.to_numpy(np.float64, na_value=np.nan)
        is_bad = np.zeros(len(result), bool)
    else:
        codes, values, is_empty = read_cells(table, column)
        texts = [CURRENCY_PATTERN.sub(r"\1", str(v).strip()) for v in values]
        texts = ["nan" if n else NUMBER_WORDS.get(t.casefold(), t) for t, n in zip(texts, is_empty, strict=True)]
        numbers = parse_numbers(texts)
        bad_texts = [texts[i] for i in np.flatnonzero(np.isnan(numbers) & ~is_empty)]
        has_commas = all(re.fullmatch(r"[+-]?\d*,\d+", t) for t in bad_texts)
        if has_commas and not all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", t) for t in bad_texts):  # 0,5 and not 1,500
            numbers = parse_numbers([t.replace(",", ".") for t in texts])
        result, is_bad = numbers[codes], (np.isnan(numbers) & ~is_empty)[codes]
    bad_cells = format_count(int(is_bad.sum()), "such cell")
    remedy = f"Correct or empty these cells, or name another column: {format_role_option(role)}."
    table.refuse_bad_rows(is_bad, column, f"{{place}} holds {{cell}}, which is not a number ({bad_cells}).", remedy)
    remedy = "Empty the cell if the value is not known."
    table.refuse_bad_rows(
        np.abs(result) > max_size, column, "{place} holds {cell}, which is infinite or too large.", remedy
    )
    return result


def parse_numbers(texts: list[str]) -> np.ndarray:
    """Parses texts as numbers; a text that is not a number becomes NaN."""
    import pandas as pd

    return np.asarray(pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce"), np.float64)


def read_labels(table: Table, column: str) -> tuple[np.ndarray, list[str]]:
    """Reads a column as codes [rows], which are indices of its names, or -1 for empty cells; also returns the names.

    The names are in natural order, such as 'p2' before 'p10'.
    """
    codes, values, is_empty = read_cells(table, column)
    is_integral = [isinstance(v, (float, np.floating)) and abs(v) < 2**53 and v == int(v) for v in values]
    texts = [str(int(v) if integral else v).strip() for v, integral in zip(values, is_integral, strict=True)]
    names = sorted({texts[i] for i in np.unique(codes) if not is_empty[i]}, key=make_natural_sort_key)
    index = {name: i for i, name in enumerate(names)}
    return np.array([-1 if n else index.get(t, -1) for t, n in zip(texts, is_empty, strict=True)])[codes], names


def make_natural_sort_key(text: str) -> tuple[Any, ...]:
    """Makes a sort key that puts names in natural order, such as 'p2' before 'p10'."""
    parts = enumerate(re.split(r"([0-9]+)", text))
    return tuple(("", int(part[:300]), part) if i % 2 else (part, 0, "") for i, part in parts), text
