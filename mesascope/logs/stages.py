"""Two-stage trials, and choices among the options that a screen offered.

In a two-step trial (Daw et al. 2011) a first choice leads to one of two states, commonly to one of them and rarely to
the other. In that state the participant makes a second choice, which pays. The action of the trial is the first choice,
and its feedback is the pay-off of the second.
"""

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.codes import MOST_CHOICES, Choices, read_choices
from mesascope.logs.columns import Roles, read_cells, read_labels, spell_role
from mesascope.logs.tables import Table, count_noun, list_names, quote

COMMON = {"common": 1, "com": 1, "c": 1, "frequent": 1, "likely": 1}
RARE = {"rare": 0, "uncommon": 0, "unc": 0, "r": 0, "u": 0, "infrequent": 0, "unlikely": 0}
MIN_SHARE = 0.55  # the smallest share of common transitions from which the code infers which ones are common


def read_stages(
    table: Table, roles: Roles, chosen: Choices, owners: np.ndarray | None
) -> tuple[dict[str, np.ndarray], set[str], list[str]]:
    """Reads the second stage of each row, if the log has one.

    Args:
        table: the log.
        roles: the columns by role: second (the choice at the second stage), state (the state to which the first choice
            led), transition (whether that was common).
        chosen: the first choices.
        owners: the participant of each row, if the log names participants.

    Returns:
        The variables by name, with a value for each row (-1 if missing): second_action, second_state and transition (1
        common, 0 rare); none if the trials have one stage. Then the roles that were not read, and notes.

    Raises:
        MesascopeError: a column does not fit the role that the user gave it.
    """
    stage_roles = [r for r in ("second", "state", "transition") if r in roles.of]
    variables: dict[str, np.ndarray] = {}
    stage_notes: list[str] = []
    has_choice = chosen.action >= 0
    try:
        if "second" in stage_roles:
            second_choices = read_choices(table, Roles({"action": roles.of["second"]}), None)
            stage_notes += [f"Second stage: {note[0].lower()}{note[1:]}" for note in second_choices.notes]
            variables["second_action"] = second_choices.action
            if "state" not in stage_roles and second_choices.number > 2:
                variables["second_state"] = np.where(
                    variables["second_action"] < 0, -1, variables["second_action"] // 2
                )
                stage_notes.append("Each state has two choices of the second stage, in the order of their codes.")
        if "state" in stage_roles:
            variables["second_state"], names = read_labels(table, roles.of["state"][0])
            stage_notes.append(f"States of the second stage: {list_names(names)}.")
        if "transition" in stage_roles:
            variables["transition"] = _read_transition(table, roles, stage_notes)
        elif "second_state" in variables:
            variables["transition"] = _infer_transition(chosen, variables["second_state"], owners, stage_notes)
        elif stage_roles:
            raise MesascopeError(
                f"{list_names([roles.of[r][0] for r in stage_roles])} does not show where the first choice led.",
                f"Name the column that does: {spell_role('state')} or {spell_role('transition')}.",
            )
    except MesascopeError as error:
        if roles.requested & set(stage_roles):
            raise
        note = f"{list_names([roles.of[r][0] for r in stage_roles])} not read as a second stage: {error}"
        return {}, set(stage_roles), [note]
    if "transition" not in variables:
        return {}, set(stage_roles), []
    variables = {name: np.where(has_choice, rows, -1).astype(np.int16) for name, rows in variables.items()}
    transitions = variables["transition"][variables["transition"] >= 0]
    if not len(transitions):
        return {}, set(stage_roles), ["No trial has a transition, so the second stage was not read."]
    notes = [
        "Trials have two stages: the action is the first choice, and the feedback is that of the second. Metrics of "
        "single choices read the first choice.",
        *stage_notes,
        f"Common transitions: {transitions.mean():.3f} of {count_noun(len(transitions), 'trial')}.",
    ]
    if n_missing := int((has_choice & (variables["transition"] < 0)).sum()):
        notes.append(f"Trials whose transition is missing: {n_missing:,}.")
    return variables, set(), notes


def _read_transition(table: Table, roles: Roles, notes: list[str]) -> np.ndarray:
    """For each row, 1 if the transition was common, 0 if it was rare, -1 if it is missing."""
    column = roles.of["transition"][0]
    codes, values, is_empty = read_cells(table, column)
    text = [str(v).strip().casefold().removesuffix(".0") for v in values]
    entries = sorted({text[i] for i in np.unique(codes) if not is_empty[i]})
    words = {**COMMON, **RARE}
    if all(t in words for t in entries):
        meaning = {t: words[t] for t in entries}
    elif len(entries) == 2 and set(entries) <= {"-1", "0", "1", "2", "true", "false"}:
        order = ("false", "-1", "0", "1", "true", "2")
        low, high = sorted(entries, key=order.index)
        share = float(np.mean([text[i] == high for i in codes if not is_empty[i]]))
        rare = "rare" in column.casefold() or "uncommon" in column.casefold()
        is_named = rare or "common" in column.casefold()
        upper = 0 if rare else 1 if is_named else int(share >= 0.5)
        meaning = {high: upper, low: 1 - upper}
        notes.append(
            f"In {quote(column)}, {quote(high if upper else low)} is a common transition"
            f"{'' if is_named else ', because it is more frequent'}."
        )
    else:
        raise MesascopeError(
            f"Column {quote(column)} holds {list_names(entries)}, which do not mean common or rare.",
            f"Write common and rare, or leave it out: {spell_role('transition', '')}.",
        )
    coded = np.array([-1 if n else meaning.get(t, -1) for t, n in zip(text, is_empty, strict=True)])
    return coded[codes]


def _infer_transition(chosen: Choices, state: np.ndarray, owners: np.ndarray | None, notes: list[str]) -> np.ndarray:
    """For each row, 1 if its state is the one that follows its first choice most often, else 0; -1 if it is missing.

    Raises:
        MesascopeError: two choices lead to the same state most often, or a choice leads to all states about equally
            often.
    """
    is_valid = (chosen.action >= 0) & (state >= 0)
    count = np.zeros((chosen.number, int(state.max()) + 1))
    np.add.at(count, (chosen.action[is_valid], state[is_valid]), 1)
    common_state = count.argmax(-1)
    share = count.max(-1).sum() / max(count.sum(), 1)
    if chosen.number < 2 or len(set(common_state)) < chosen.number or share < MIN_SHARE:
        raise MesascopeError(
            f"The log does not show which transition is common: after the {chosen.number} first choices the states "
            f"followed {'; '.join(' and '.join(f'{int(c):,}' for c in row) for row in count[:6])} times.",
            f"Name a column that shows it: {spell_role('transition')}.",
        )
    examples = [
        f"choice {a} → state {common_state[a]} ({int(count[a].max()):,} of {int(count[a].sum()):,})"
        for a in range(min(chosen.number, 6))
    ]
    rule = "A transition is common if its state is the one that followed the first choice more often"
    notes.append(f"{rule}: {', '.join(examples)}.")
    common = np.where(is_valid, state == common_state[np.maximum(chosen.action, 0)], -1).astype(np.int64)
    if owners is not None:
        hits = np.bincount(owners[is_valid], common[is_valid])
        totals = np.bincount(owners[is_valid])
        n_reversed = int(((totals > 20) & (hits < 0.4 * totals)).sum())
        if n_reversed:
            notes.append(
                f"For {count_noun(n_reversed, 'participant')} the common transition is the rarer one. If states were "
                f"counterbalanced, name a column that shows which is common: {spell_role('transition')}."
            )
    return common


def read_offered(
    table: Table, roles: Roles, choices: int | None
) -> tuple[Choices, dict[str, np.ndarray], set[str], tuple[str, ...]]:
    """Reads the choice of each row. If a screen offered some of the options, the choice is the option, not its place.

    Args:
        table: the log.
        roles: the columns by role. The columns of the role offered contain the option at each place of the screen, in
            the order in which the action numbers the places.
        choices: the number of options, if not all of them occur.

    Returns:
        The choices; `offered` [rows, K], which says whether each could be chosen, unless all could; the roles that were
        not read; and notes.

    Raises:
        MesascopeError: the columns that the user named do not fit the action.
    """
    if "offered" not in roles.of:
        return read_choices(table, roles, choices), {}, set(), ()
    columns = roles.of["offered"]
    try:
        places = read_choices(table, roles, None)
        if places.number != len(columns):
            raise MesascopeError(
                f"The role offered has {len(columns)} columns, but there are {places.number} places.",
                f"Name one column per place, in their order: {spell_role('offered', 'LEFT+RIGHT')}.",
            )
        return _read_choices_offered(table, columns, places, choices)
    except MesascopeError as error:
        if "offered" in roles.requested:
            raise
        note = f"{list_names(columns)} not read as what was offered: {error}"
        return read_choices(table, roles, choices), {}, {"offered"}, (note,)


def _read_choices_offered(table: Table, columns: list[str], places: Choices, choices: int | None):
    """Converts choices of places to choices of the options at these places."""
    import pandas as pd

    parts = [read_labels(table, c) for c in columns]
    names = list(dict.fromkeys(n for _, found in parts for n in found))
    integral = all(n.lstrip("-").isdecimal() for n in names)
    names = sorted(names, key=int) if integral else sorted(names)
    if not 2 <= len(names) <= MOST_CHOICES or len(names) > (choices or MOST_CHOICES):
        raise MesascopeError(
            f"{list_names(columns)} contain {count_noun(len(names), 'different option')}.",
            f"Give 2 to {choices or MOST_CHOICES} options, or read places as choices: {spell_role('offered', '')}.",
        )
    index = pd.Index(names)
    indices = [np.r_[index.get_indexer(pd.Index(found)), -1][codes] for codes, found in parts]
    options_shown = np.stack(indices, -1)  # [rows, places]
    rows = np.arange(len(options_shown))
    action = np.where(places.action >= 0, options_shown[rows, np.maximum(places.action, 0)], -1)
    is_empty = (places.action >= 0) & (action < 0)
    if is_empty.any():
        row = int(np.flatnonzero(is_empty)[0])
        raise MesascopeError(
            f"{table.place(row, columns[places.action[row]])} is empty, but that place was chosen "
            f"({count_noun(int(is_empty.sum()), 'such row')}).",
            f"Fill it in, or read the places as the choices: {spell_role('offered', '')}.",
        )
    k = max(len(names), choices or 0)
    offered = np.zeros((len(options_shown), k), np.int16)
    for column in options_shown.T:
        offered[rows[column >= 0], column[column >= 0]] = 1
    order = ", ".join(f"{quote(n)} = {i}" for i, n in enumerate(names[:20]))
    notes = (f"The choice is the option at the place that was chosen, from {list_names(columns)}: {order}.",)
    chosen = Choices(action.astype(np.int16), k, () if integral else tuple(names), places.notes)
    if offered.all():
        return chosen, {}, set(), notes
    note = f"Not every choice could be made on every trial: {len(columns)} of {k} were offered at a time."
    return chosen, {"offered": offered}, set(), (*notes, note)
