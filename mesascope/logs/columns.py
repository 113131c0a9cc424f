"""Finds the role of each column of a log, and reads its cells as numbers or labels."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mesascope.errors import MesascopeError, unknown
from mesascope.logs.tables import Table, count_noun, list_names, quote

# Comparisons of names ignore case, blanks and punctuation, so subjID, subj_id and "Subj ID" are the same name.
ALIASES: dict[str, tuple[str, ...]] = {
    "participant": (
        "subjid", "subj", "subject", "subjectid", "participant", "participantid", "ppt", "pptid", "pid",
        "agent", "agentid", "worker", "workerid", "user", "userid",
    ),
    "lifetime": (
        "lifetime", "lifetimeid", "session", "sessionid", "block", "blockid", "blocknumber", "run", "runid",
        "episode", "episodeid", "game", "gameid", "problem", "problemid",
    ),
    "trial": ("trial", "trialid", "trialnumber", "trialnum", "trialno", "trialnr", "trialindex", "trials"),
    "action": (
        "action", "choice", "response", "decision", "arm", "chosen", "chosenarm", "chosenaction", "selected",
        "selectedarm",
    ),
    "feedback": ("feedback", "outcome", "reward", "payoff", "payout", "points"),
    "gain": ("gain", "gains"),
    "loss": ("loss", "losses"),
    "score": ("score", "expectedreward", "expectedpayoff", "expectedscore"),
    "chance": ("chance", "chancescore"),
    "best": ("best", "bestscore"),
    "missed": ("missed", "miss", "missing", "timeout", "timedout", "noresponse", "omission"),
    "correct": ("correct", "accuracy", "acc", "iscorrect"),
    "second": (
        "second", "choice2", "secondchoice", "level2choice", "stage2choice", "step2choice", "secondstagechoice",
        "choicestage2", "choicelevel2", "action2", "secondaction", "response2", "secondresponse",
    ),
    "state": (
        "state", "state2", "secondstate", "secondstagestate", "stage2state", "level2state", "step2state", "finalstate",
    ),
    "transition": (
        "transition", "transitiontype", "trans", "common", "iscommon", "commontransition", "rare", "israre",
        "raretransition",
    ),
}  # fmt: skip
FIRST = (  # names of the action if trials have two stages
    "choice1", "firstchoice", "level1choice", "stage1choice", "step1choice", "firststagechoice", "choicestage1",
    "choicelevel1", "action1", "firstaction", "response1", "firstresponse",
)  # fmt: skip
# names of the columns that say what was shown at the places of a screen
SCREEN = r"(arm|option|stim|stimulus|image|machine|bandit|cue)(left|right)"
NUMBERED: dict[str, str] = {  # numbered columns: the prefix, then a number counted from 0 or 1, or the name of a choice
    "probabilities": r"(?:p|prob|paction|probaction|pchoice|probchoice)",
    "means": r"(?:mean|mu|armmean|truemean)",
}
ROLES = tuple(sorted({*ALIASES, *NUMBERED, "offered"} - {"correct"}))
SEVERAL = ("lifetime", "offered", *NUMBERED)
DOUBTFUL = ("correct", "gain", "loss", "missed", "score", "chance", "best", "second", "state", "transition")
NOTHING = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "nat", ".", "missing", "missed"))


@dataclass
class Roles:
    """The columns that have each role.

    Args:
        of: the columns of each role that is in use.
        suffixes: what follows the prefix in each column's name, for probabilities and means.
        requested: the roles for which the user named columns.
        notes: how roles were assigned, one sentence each.
    """

    of: dict[str, list[str]] = field(default_factory=dict)
    suffixes: dict[str, list[str]] = field(default_factory=dict)
    requested: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def one(self, role: str) -> str | None:
        """The column of a role that takes only one, or None if the role is not in use."""
        return self.of[role][0] if role in self.of else None


def normalise_name(name: str) -> str:
    """The name in lower case, without blanks and punctuation."""
    return re.sub(r"[^0-9a-z]", "", name.casefold())


def parse_roles(text: str) -> dict[str, str] | None:
    """Parses roles and columns from a text such as 'action=key,lifetime=session+block'.

    Raises:
        MesascopeError: a part has no '=', or a role occurs twice.
    """
    roles: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        role, equals, column = pair.partition("=")
        if not equals:
            raise MesascopeError(f"{pair!r} in --columns has no '='.", "Type --columns action=NAME,feedback=NAME.")
        if role in roles:
            raise MesascopeError(
                f"{role!r} is given twice in --columns.", f"Give it once; join several columns: {role}=A+B."
            )
        roles[role] = column
    return roles or None


def spell_role(role: str, name: str = "NAME") -> str:
    """Says what the user should type to give a column a role."""
    return f"--columns {role}={name} (in Python columns={{{role!r}: {name!r}}})"


def resolve(table: Table, columns: Mapping[str, Any] | None) -> Roles:
    """Assigns columns to roles, first as the user asks, then from common names.

    Args:
        table: the log.
        columns: a mapping of roles to columns. Lifetime, offered, probabilities and means take several columns, as a
            list or joined by '+'. None or '' keeps a role empty.

    Raises:
        MesascopeError: a role or column does not exist, a column has two roles, a role has two columns, or there is
            no action or no feedback.
    """
    header = [str(c) for c in table.frame.columns]
    roles = Roles()
    empty_roles = _apply_requests(header, columns, roles, table.name)
    claimed = {c for names in roles.of.values() for c in names}
    unclaimed = [c for c in header if c not in claimed]
    for role, names in ALIASES.items():
        found = [c for c in unclaimed if normalise_name(c) in names]
        if role in roles.of or role in empty_roles or not found:
            continue
        if len(found) > 1 and role not in SEVERAL:
            if role in DOUBTFUL:
                roles.notes.append(f"{list_names(found)} could each be the {role}, so none of them was read.")
                continue
            raise MesascopeError(
                f"{len(found)} columns of {table.name} could be the {role}: {list_names(found)}.",
                f"Name one: {spell_role(role, found[0])}.",
            )
        roles.of[role] = found
    for role, prefix in NUMBERED.items():
        if role in roles.of or role in empty_roles:
            continue
        found = sorted((int(m[1]), c) for c in unclaimed if (m := re.fullmatch(rf"{prefix}(\d+)", normalise_name(c))))
        arm_columns = {c: m[1] for c in unclaimed if (m := re.fullmatch(r"(?i)p_action_(.+)", c))}
        if role == "probabilities" and not found and len(arm_columns) > 1:
            roles.of[role], roles.suffixes[role] = list(arm_columns), list(arm_columns.values())
        numbers = [n for n, _ in found]
        if len(found) > 1 and numbers in (list(range(len(found))), list(range(1, len(found) + 1))):
            roles.of[role], roles.suffixes[role] = [c for _, c in found], [str(n) for n in numbers]
    if "action" not in roles.of and "action" not in empty_roles:
        found = [c for c in unclaimed if normalise_name(c) in FIRST]
        roles.of |= dict(action=found) if len(found) == 1 else {}
    screen_columns = sorted((m[2], c) for c in unclaimed if (m := re.fullmatch(SCREEN, normalise_name(c))))
    if "offered" not in {*roles.of, *empty_roles} and [side for side, _ in screen_columns] == ["left", "right"]:
        roles.of["offered"] = [c for _, c in screen_columns]
    if not {"second", "transition"} & roles.of.keys() and "state" not in roles.requested:
        roles.of.pop("state", None)
    _complete(roles, header, table.name, empty_roles)
    return roles


def _apply_requests(header: Sequence[str], columns: Any, roles: Roles, name: str) -> set[str]:
    """Assigns the columns that the user named, and returns the roles that stay empty."""
    if columns is None:
        return set()
    if not isinstance(columns, Mapping):
        raise MesascopeError(
            f"columns is a {type(columns).__name__}.", "It maps roles to columns, such as {'action': 'my_column'}."
        )
    empty_roles: set[str] = set()
    claimed: dict[str, str] = {}
    for role, requested in columns.items():
        if role not in ROLES:
            if role in header and requested in ROLES:
                raise MesascopeError(
                    f"columns maps the column {quote(role)} to the role {requested!r}.",
                    f"Swap them: {spell_role(requested, role)}.",
                )
            raise unknown("role of a column", quote(role)[1:-1], ROLES)
        if requested is None or (isinstance(requested, str) and not requested):
            empty_roles.add(role)
            continue
        names = [requested] if isinstance(requested, str) or not isinstance(requested, Sequence) else list(requested)
        names = [str(n) for n in names]
        if len(names) == 1 and names[0] not in header and "+" in names[0]:
            names = [n.strip() for n in names[0].split("+")]
        for i, column in enumerate(names):
            similar = [c for c in header if normalise_name(c) == normalise_name(column)]
            if column not in header and len(similar) == 1:
                names[i] = column = similar[0]
            if column not in header:
                raise MesascopeError(
                    f"{name} has no column {quote(column)} for the role {role}.",
                    f"Its columns are {list_names(header, 30)}.",
                )
            if column in claimed:
                raise MesascopeError(
                    f"The column {quote(column)} has two roles, {claimed[column]} and {role}.",
                    "Give every column one role.",
                )
            claimed[column] = role
        if len(names) > 1 and role not in SEVERAL:
            raise MesascopeError(f"The role {role} has {len(names)} columns: {list_names(names)}.", "Name one.")
        if len(names) == 1 and role in (*NUMBERED, "offered"):
            raise MesascopeError(
                f"The role {role} has one column, {quote(names[0])}.",
                f"Give one column per choice, in the order of the choices: {spell_role(role, 'A+B')}.",
            )
        roles.of[role] = names
        roles.requested.add(role)
    return empty_roles


def _complete(roles: Roles, header: Sequence[str], name: str, empty_roles: set[str]) -> None:
    """Decides which column is the feedback, and raises MesascopeError if the log has no action or no feedback."""
    if "action" not in roles.of:
        raise MesascopeError(
            f"{name} has no column with a common name for the action; its columns are {list_names(header, 30)}.",
            f"Name it: {spell_role('action')}.",
        )
    if "feedback" not in roles.requested and {"gain", "loss"} & roles.requested:
        roles.of.pop("feedback", None)
    if "feedback" in roles.of:
        pair = [roles.of.pop(r)[0] for r in ("gain", "loss") if r in roles.of]
        if pair:
            roles.notes.append(f"{list_names(pair)} not read: {quote(roles.of['feedback'][0])} is the feedback.")
    elif "gain" in roles.of or "loss" in roles.of:
        words = {"gain": "", "loss": "minus the size of "}
        parts = [f"{word}{quote(roles.of[r][0])}" for r, word in words.items() if r in roles.of]
        roles.notes.append(f"Feedback is {' '.join(parts)}.")
    else:
        pair = [r for r in ("correct", "score") if r in roles.of and r not in roles.requested]
        if not pair or "feedback" in empty_roles:
            raise MesascopeError(
                f"{name} has no column with a common name for the feedback; its columns are {list_names(header, 30)}.",
                f"Name it: {spell_role('feedback')}, or gain and loss.",
            )
        roles.of["feedback"] = roles.of.pop(pair[0])
        column = quote(roles.of["feedback"][0])
        roles.notes.append(f"{column} is read as the feedback, because there is no other.")
    roles.of.pop("correct", None)


def read_cells(table: Table, column: str) -> tuple[np.ndarray, list[Any], np.ndarray]:
    """Reads a column as codes [rows] into its distinct values, and says which values stand for an empty cell.

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
        raise MesascopeError(
            f"{table.place(row, column)} holds {quote(series.iloc[row])}, more than one value.",
            "Every cell needs one number or one name.",
        ) from None
    values = [*values, ""]  # the code -1, pandas' own 'nothing', points here
    is_empty = np.array([str(v).strip().casefold() in NOTHING for v in values])
    return np.asarray(codes, np.int64) % len(values), values, is_empty


def read_numbers(table: Table, column: str, role: str, largest: float = 1e30) -> np.ndarray:
    """Reads a column as numbers [rows], with NaN for empty cells.

    Raises:
        MesascopeError: a cell is not a number, or is infinite or larger than `largest`.
    """
    import pandas as pd

    series: Any = table.frame[column]
    if pd.api.types.is_numeric_dtype(series.dtype) and series.dtype.kind in "iuf":
        result = series.to_numpy(np.float64, na_value=np.nan)
        is_bad = np.zeros(len(result), bool)
    else:
        codes, values, is_empty = read_cells(table, column)
        text = [str(v).strip() for v in values]
        truth = {"true": "1", "false": "0"}
        text = ["nan" if n else truth.get(t.casefold(), t) for t, n in zip(text, is_empty, strict=True)]
        parsed_values = np.asarray(pd.to_numeric(pd.Series(text, dtype=object), errors="coerce"), np.float64)
        not_a_number = np.isnan(parsed_values) & ~is_empty
        bad_texts = [text[i] for i in np.flatnonzero(not_a_number)]
        comma = all(re.fullmatch(r"[+-]?\d*,\d+", t) for t in bad_texts)
        if comma and not all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", t) for t in bad_texts):  # 0,5 and not 1,500
            text = [t.replace(",", ".") for t in text]
            parsed_values = np.asarray(pd.to_numeric(pd.Series(text, dtype=object), errors="coerce"), np.float64)
            not_a_number = np.isnan(parsed_values) & ~is_empty
        result, is_bad = parsed_values[codes], not_a_number[codes]
    cells_ = count_noun(int(is_bad.sum()), "such cell")
    remedy = f"Correct or empty these cells, or name another column: {spell_role(role)}."
    table.refuse(is_bad, column, f"{{place}} holds {{cell}}, which is not a number ({cells_}).", remedy)
    remedy = "Empty the cell if the value is not known."
    table.refuse(np.abs(result) > largest, column, "{place} holds {cell}, which is infinite or too large.", remedy)
    return result


def read_labels(table: Table, column: str) -> tuple[np.ndarray, list[str]]:
    """Reads a column as codes [rows] into its names in natural order ('p2' before 'p10'), with -1 for empty cells."""
    codes, values, is_empty = read_cells(table, column)
    is_integral = [isinstance(v, (float, np.floating)) and abs(v) < 2**53 and v == int(v) for v in values]
    text = [str(int(v) if integral else v).strip() for v, integral in zip(values, is_integral, strict=True)]
    occurs = np.zeros(len(values), bool)
    occurs[np.unique(codes)] = True
    names = sorted({t for t, n, h in zip(text, is_empty, occurs, strict=True) if h and not n}, key=make_sort_key)
    index = {t: i for i, t in enumerate(names)}
    return np.array([-1 if n else index.get(t, -1) for t, n in zip(text, is_empty, strict=True)])[codes], names


def make_sort_key(text: str) -> tuple[Any, ...]:
    """A sort key that puts names in natural order, such as 'p2' before 'p10'."""
    parts = enumerate(re.split(r"([0-9]+)", text))
    return tuple(("", int(part[:300]), part) if i % 2 else (part, 0, "") for i, part in parts), text
