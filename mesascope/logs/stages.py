"""Reads two-stage trials, and choices among the options that a screen offered.

In a two-step trial (Daw et al. 2011), the first choice leads to one of two states: commonly to one of them, rarely to
the other. In that state, the participant makes a second choice, which pays. The action of the trial is the first
choice, and the feedback of the trial is the pay-off of the second choice.
"""

from collections.abc import Collection

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.codes import MAX_CHOICES, MAX_ODD_SHARE, Choices, read_choices
from mesascope.logs.columns import Roles, format_role_option, read_cells, read_labels
from mesascope.logs.tables import Table, format_count, format_names, quote

TRANSITION_WORDS = {
    **dict.fromkeys(("common", "com", "c", "frequent", "likely"), 1),
    **dict.fromkeys(("rare", "uncommon", "unc", "r", "u", "infrequent", "unlikely"), 0),
}
MIN_COMMON_SHARE = 0.55  # with a smaller share, common transitions are not inferred


def read_stages(
    table: Table, roles: Roles, choices: Choices, participants: np.ndarray | None, missing: Collection[str] = ()
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Reads the second stage of each row, if trials have two stages; removes unreadable roles from `roles`.

    Args:
        table: the log as a table.
        roles: the columns by role. The roles of the second stage are second (the choice at this stage), state (the
            state to which the first choice led) and transition (whether the change to this state was common).
        choices: the first choices of the log's rows.
        participants: the participant of each row; None if the log does not name participants.
        missing: the codes, as texts, that mean a missed choice besides the common ones.

    Returns:
        A dict, which is empty if the second stage was not read, and notes. The dict contains transition [rows] (1
        common, 0 rare) and, if the log shows them, second_action [rows] and second_state [rows]; all are -1 if missing.

    Raises:
        MesascopeError: a column to which the user gave one of these roles cannot be read in this role.
    """
    columns = {role: roles.columns[role][0] for role in ("second", "state", "transition") if role in roles.columns}
    if not columns:
        return {}, []
    variables: dict[str, np.ndarray] = {}
    stage_notes: list[str] = []
    try:
        if "second" in columns:
            second_choices = read_choices(table, Roles({"action": roles.columns["second"]}), None, missing)
            stage_notes += [f"Second stage: {note[0].lower()}{note[1:]}" for note in second_choices.notes]
            variables["second_action"] = second_choices.action
            if "state" not in columns and second_choices.n_choices > 2:
                variables["second_state"] = second_choices.action // 2  # -1 // 2 is -1
                note = "No column shows the state, so each state is taken to have two choices of the second stage, "
                stage_notes.append(note + "in the order of their codes.")
        if "state" in columns:
            variables["second_state"] = _read_states(table, columns["state"], stage_notes)
        if "transition" in columns:
            variables["transition"] = _read_transition(table, columns["transition"], stage_notes)
        elif "second_state" in variables:
            variables["transition"] = _infer_transition(choices, variables["second_state"], participants, stage_notes)
        else:
            raise MesascopeError(
                f"{format_names(list(columns.values()))} does not show where the first choice led.",
                f"Name the column that does: {format_role_option('state')} or {format_role_option('transition')}.",
            )
    except MesascopeError as error:
        if roles.requested_roles & columns.keys():
            raise
        roles.remove(columns)
        return {}, [f"{format_names(list(columns.values()))} not read as a second stage: {error}"]
    has_choice = choices.action >= 0
    variables = {name: np.where(has_choice, rows, -1).astype(np.int16) for name, rows in variables.items()}
    transitions = variables["transition"][variables["transition"] >= 0]
    if not len(transitions):
        roles.remove(columns)
        return {}, ["No trial has a transition, so the second stage was not read."]
    notes = [
        "Trials have two stages: the action is the first choice, and the feedback is that of the second choice. "
        "Metrics of single choices read the first choice.",
        *stage_notes,
        f"Common transitions: {transitions.mean():.3f} of {format_count(len(transitions), 'trial')}.",
    ]
    if n_missing := int((has_choice & (variables["transition"] < 0)).sum()):
        notes.append(f"Trials whose transition is missing: {n_missing:,}.")
    return variables, notes


def _read_states(table: Table, column: str, notes: list[str]) -> np.ndarray:
    """Reads each row's state, numbered from 0 (-1 if missing), and adds notes on the reading to `notes`.

    Very rare states become -1, too, if at least two other states remain.
    """
    codes, names = read_labels(table, column)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    is_kept = counts > MAX_ODD_SHARE * counts.sum()
    if is_kept.sum() < 2:
        is_kept[:] = True
    if not is_kept.all():
        odd = format_names([n for n, kept in zip(names, is_kept, strict=True) if not kept])
        rows = format_count(int(counts[~is_kept].sum()), "row")
        notes.append(f"{quote(column)} holds {odd} on {rows}, whose second stage is left out.")
    notes.append(f"States of the second stage: {format_names([n for n, k in zip(names, is_kept, strict=True) if k])}.")
    return np.append(np.where(is_kept, np.cumsum(is_kept) - 1, -1), -1)[codes]


def _read_transition(table: Table, column: str, notes: list[str]) -> np.ndarray:
    """Reads each row's transition (1 common, 0 rare, -1 missing), and adds notes on the reading to `notes`."""
    codes, values, is_empty = read_cells(table, column)
    texts = [str(v).strip().casefold().removesuffix(".0") for v in values]
    entries = sorted({texts[i] for i in np.unique(codes) if not is_empty[i]})
    counts = {e: sum(int((codes == i).sum()) for i, t in enumerate(texts) if t == e) for e in entries[:50]}
    odd = [e for e, n in counts.items() if n <= MAX_ODD_SHARE * len(codes) and e not in TRANSITION_WORDS]
    if odd and len(odd) <= len(entries) - 2:
        rows = format_count(sum(counts[e] for e in odd), "row")
        notes.append(f"{quote(column)} holds {format_names(odd)} on {rows}, whose transition is left out.")
        entries = [e for e in entries if e not in odd]
        is_empty = is_empty | np.isin(texts, odd)
    if set(entries) <= TRANSITION_WORDS.keys():
        meaning = TRANSITION_WORDS
    elif len(entries) == 2 and set(entries) <= {"-1", "0", "1", "2", "true", "false"}:
        order = ("false", "-1", "0", "1", "true", "2")
        low, high = sorted(entries, key=order.index)
        share = float(np.mean([texts[i] == high for i in codes if not is_empty[i]]))
        means_rare = "rare" in column.casefold() or "uncommon" in column.casefold()
        is_named = means_rare or "common" in column.casefold()
        high_is_common = not means_rare if is_named else share >= 0.5
        meaning = {high: int(high_is_common), low: int(not high_is_common)}
        notes.append(
            f"In {quote(column)}, {quote(high if high_is_common else low)} is a common transition"
            f"{'' if is_named else ', because it is more frequent'}."
        )
    else:
        problem = f"Column {quote(column)} holds {format_names(entries)}, which do not mean common or rare."
        raise MesascopeError(
            problem, f"Write common and rare, or leave it out: {format_role_option('transition', '')}."
        )
    return np.array([-1 if n else meaning.get(t, -1) for t, n in zip(texts, is_empty, strict=True)])[codes]


def _infer_transition(
    choices: Choices, state: np.ndarray, participants: np.ndarray | None, notes: list[str]
) -> np.ndarray:
    """Infers each row's transition: 1 if its state is the most frequent after this first choice, else 0; -1 if missing.

    If all participants together do not show which state is common after each choice, each participant's own trials
    decide.

    Raises:
        MesascopeError: no trial has a state, or the common states are clear (see `_has_common_states`) neither from all
            trials together nor, for more than half of the trials, from the trials of the same participant.
    """
    is_valid = (choices.action >= 0) & (state >= 0)
    if not is_valid.any():
        problem = "No trial with a first choice has a state, so the log does not show where the choice led."
        raise MesascopeError(
            problem, f"Name the column that does: {format_role_option('state')} or {format_role_option('transition')}."
        )
    count = np.zeros((choices.n_choices, int(state.max()) + 1))
    np.add.at(count, (choices.action[is_valid], state[is_valid]), 1)
    common_state = count.argmax(-1)
    if not _has_common_states(count):
        own = None if participants is None else _infer_own_transitions(choices, state, participants, is_valid)
        if participants is not None and own is not None and (own >= 0).sum() > 0.5 * is_valid.sum():
            left_out = len(set(participants[is_valid])) - len(set(participants[own >= 0]))
            rule = "A transition is common if its state followed the participant's own first choice more often"
            notes.append(f"{rule}; participants whose trials do not show this: {left_out}.")
            return own
        raise MesascopeError(
            f"The log does not show which transition is common: after the {choices.n_choices} first choices the states "
            f"followed {'; '.join(' and '.join(f'{int(c):,}' for c in row) for row in count[:6])} times.",
            f"Name a column that shows it: {format_role_option('transition')}.",
        )
    examples = [
        f"choice {a} → state {common_state[a]} ({int(count[a].max()):,} of {int(count[a].sum()):,})"
        for a in range(min(choices.n_choices, 6))
    ]
    rule = "A transition is common if its state is the one that followed the first choice more often"
    notes.append(f"{rule}: {', '.join(examples)}.")
    common = np.where(is_valid, state == common_state[np.maximum(choices.action, 0)], -1).astype(np.int64)
    if participants is not None:
        hits = np.bincount(participants[is_valid], common[is_valid])
        totals = np.bincount(participants[is_valid])
        n_reversed = int(((totals > 20) & (hits < 0.4 * totals)).sum())
        if n_reversed:
            notes.append(
                f"For {format_count(n_reversed, 'participant')}, the transition that is common overall is rarer."
            )
            remedy = f"name a column that shows which is common: {format_role_option('transition')}."
            notes[-1] += f" If states were counterbalanced, {remedy}"
    return common


def _has_common_states(counts: np.ndarray) -> bool:
    """Checks whether counts [choices, states] of the states after each choice show that each has its own common state.

    The most frequent states of the choices must differ, and together make up at least 55 % of the counts.
    """
    share = counts.max(-1).sum() / max(counts.sum(), 1)
    return len(counts) > 1 and len(set(counts.argmax(-1))) == len(counts) and share >= MIN_COMMON_SHARE


def _infer_own_transitions(
    choices: Choices, state: np.ndarray, participants: np.ndarray, is_valid: np.ndarray
) -> np.ndarray:
    """Infers each row's transition from its participant's trials; -1 if these do not show which states are common."""
    count = np.zeros((int(participants.max()) + 1, choices.n_choices, int(state.max()) + 1))
    np.add.at(count, (participants[is_valid], choices.action[is_valid], state[is_valid]), 1)
    shows = np.array([_has_common_states(own) for own in count])[participants]
    common_state = count.argmax(-1)[participants, np.maximum(choices.action, 0)]
    return np.where(is_valid & shows, state == common_state, -1).astype(np.int64)


def read_offered(
    table: Table, roles: Roles, n_choices: int | None, missing: Collection[str] = ()
) -> tuple[Choices, dict[str, np.ndarray], list[str]]:
    """Reads the choice of each row; if the role offered is in use, the choice is the option at the place chosen.

    Args:
        table: the log as a table.
        roles: the columns by role. The columns of the role offered contain the option at each place of the screen, in
            the order in which the action numbers the places. The role is removed if it cannot be read.
        n_choices: the number of options, if not all of them occur; otherwise None.
        missing: the codes, as texts, that mean a missed trial besides the common ones.

    Returns:
        The choices; a mapping with `offered` [rows, K] (1 if one of the K options could be chosen, else 0), which is
        empty if the log does not show it or every option could always be chosen; and notes.

    Raises:
        MesascopeError: the column of the action cannot be read, or the columns that the user named for the role offered
            do not fit the action.
    """
    notes: list[str] = []
    if columns := roles.columns.get("offered"):
        try:
            places = read_choices(table, roles, None, missing)
            if places.n_choices != len(columns):
                raise MesascopeError(
                    f"The role offered has {len(columns)} columns, but there are {places.n_choices} places.",
                    f"Name one column per place, in their order: {format_role_option('offered', 'LEFT+RIGHT')}.",
                )
            return _read_offered_options(table, columns, places, n_choices)
        except MesascopeError as error:
            if "offered" in roles.requested_roles:
                raise
            notes = [f"{format_names(columns)} not read as what was offered: {error}"]
            roles.remove(["offered"])
    return read_choices(table, roles, n_choices, missing), {}, notes


def _read_offered_options(
    table: Table, columns: list[str], place_choices: Choices, n_choices: int | None
) -> tuple[Choices, dict[str, np.ndarray], list[str]]:
    """Converts choices of places on the screen to choices of the options at these places."""
    labels = [read_labels(table, c) for c in columns]
    names = sorted({n for _, found in labels for n in found})
    is_integral = all(n.lstrip("-").isdecimal() for n in names)
    names = sorted(names, key=int) if is_integral else names
    if not 2 <= len(names) <= (n_choices or MAX_CHOICES):
        raise MesascopeError(
            f"{format_names(columns)} contain {format_count(len(names), 'different option')}.",
            f"Give 2 to {n_choices or MAX_CHOICES} options, or read places as choices: "
            f"{format_role_option('offered', '')}.",
        )
    index = {name: i for i, name in enumerate(names)}
    options = [np.array([*(index[n] for n in found), -1])[codes] for codes, found in labels]
    options_shown = np.stack(options, -1)  # [rows, places]
    rows = np.arange(len(options_shown))
    action = np.where(place_choices.action >= 0, options_shown[rows, np.maximum(place_choices.action, 0)], -1)
    is_empty = (place_choices.action >= 0) & (action < 0)
    empty_column = columns[place_choices.action[is_empty.argmax()]]
    remedy = f"Fill it in, or read the places as the choices: {format_role_option('offered', '')}."
    table.refuse_bad_rows(is_empty, empty_column, "{place} is empty, but that place was chosen ({rows}).", remedy)
    n_total = max(len(names), n_choices or 0)
    offered = np.zeros((len(options_shown), n_total), np.int16)
    for option in options:
        offered[rows[option >= 0], option[option >= 0]] = 1
    order = ", ".join(f"{quote(n)} = {i}" for i, n in enumerate(names[:20]))
    notes = [f"The choice is the option at the place that was chosen, from {format_names(columns)}: {order}."]
    choices = Choices(action.astype(np.int16), n_total, () if is_integral else tuple(names), place_choices.notes)
    if offered.all():
        return choices, {}, notes
    notes.append(f"Not every choice could be made on every trial: {len(columns)} of {n_total} were offered at a time.")
    return choices, {"offered": offered}, notes
