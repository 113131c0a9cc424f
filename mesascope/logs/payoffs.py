"""Reads the feedback of each choice in a log, and the expected pay-offs if the log has them."""

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.codes import Choices
from mesascope.logs.columns import Roles, numbers, spell_role
from mesascope.logs.tables import Table, count_noun, list_names

MISSING_CODES = (-99, -999, -9999, -99999, 999, 9999, 99999)


def read_feedback(
    table: Table, roles: Roles, action: np.ndarray, life: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Reads the feedback of each row (NaN for missing trials), and returns it with notes.

    Args:
        table: the log.
        roles: the columns by role.
        action: the choice of each row; -1 if the trial is missing.
        life: the lifetime of each row.
        place: the position of each row in its lifetime.

    Raises:
        MesascopeError: a cell is not a number or is infinite, or no trial has feedback.
    """
    present = action >= 0
    column = roles.one("feedback")
    notes: list[str] = []
    if column is not None:
        value = numbers(table, column, "feedback")
        far = np.isin(value, MISSING_CODES) & present
        rest = value[~far & present & ~np.isnan(value)]
        far &= bool(rest.size and np.ptp(rest)) and np.abs(value) > 10 * np.abs(rest).max()
        if far.any():
            codes = ", ".join(f"{code:g}" for code in np.unique(value[far]))
            many = count_noun(int(far.sum()), "trial")
            notes.append(f"Feedback far outside the rest, so missing: {codes} ({many}).")
            value = np.where(far, np.nan, value)
    else:
        parts = [numbers(table, c, "gain") for c in roles.of.get("gain", [])]
        parts += [-np.abs(numbers(table, c, "loss")) for c in roles.of.get("loss", [])]
        value = np.where(np.isnan(parts).all(0), np.nan, np.nansum(parts, 0))
    value = np.where(present, value, np.nan)
    bare = int((present & np.isnan(value)).sum())
    if bare == present.sum():
        used = [c for role in ("feedback", "gain", "loss") for c in roles.of.get(role, [])]
        raise MesascopeError(
            f"{list_names(used)} holds no feedback on any trial that has a choice.",
            f"Name the column of the feedback: {spell_role('feedback')}.",
        )
    if bare:
        notes.append(f"Trials with a choice and no feedback: {bare:,}; the choice stays, the feedback is missing.")
        never = [a for a in np.unique(action[present]) if np.isnan(value[action == a]).all()]
        if never:
            those = ", ".join(f"choice {a} (counted from 0)" for a in never)
            notes.append(f"Never with feedback: {those}. If that is a missing trial, empty these cells.")
    seen = value[~np.isnan(value)]
    if np.ptp(seen) == 0:
        notes.append(f"The feedback is {seen[0]:g} on every trial: nothing can be acquired from it.")
    order = np.lexsort((place, life))
    step = np.diff(value[order])[np.diff(life[order]) == 0]
    if len(np.unique(seen)) > 10 and len(step) > 10 and not (step < 0).any():
        notes.append("The feedback never falls within a lifetime: if it is a running total, log each trial's own.")
    return value, notes


def read_latents(
    table: Table, roles: Roles, chosen: Choices, feedback: np.ndarray, life: np.ndarray, *, place: np.ndarray
) -> tuple[dict[str, np.ndarray], set[str], list[str]]:
    """Reads the latent variables, which the subject did not observe, and its probabilities, if the log has them.

    Args:
        table: the log.
        roles: the columns by role.
        chosen: the choices.
        feedback: the feedback of each row.
        life: the lifetime of each row.
        place: the position of each row in its lifetime.

    Returns:
        The variables by name, with a value for each row; the roles that were not read, because their columns do not
        fit; and notes.

    Raises:
        MesascopeError: a column does not fit the role that the user gave it.
    """
    present = chosen.action >= 0
    latents: dict[str, np.ndarray] = {}

    def refuse(role: str, bad: np.ndarray, problem: str) -> None:
        remedy = f"Correct it, or leave it out: {spell_role(role, '')}."
        table.refuse(bad, roles.of[role][0], f"{{place}}: {problem}.", remedy)

    def read_columns(role: str) -> np.ndarray:
        columns, ends = roles.of[role], roles.suffixes.get(role)
        if ends and not ends[0].isdecimal():
            by_name = {e.casefold(): c for e, c in zip(ends, columns, strict=True)}
            columns = [by_name[n.casefold()] for n in chosen.names if n.casefold() in by_name]
        if len(columns) != chosen.number:
            raise MesascopeError(
                f"The role {role} has {len(columns)} columns for {chosen.number} choices.",
                f"Name one column per choice: {spell_role(role, 'A+B')}.",
            )
        return np.stack([numbers(table, c, role) for c in columns], -1)

    def probabilities() -> dict[str, np.ndarray]:
        role = "probabilities"
        p = read_columns(role)
        refuse(role, present & np.isnan(p).any(-1), "a choice has no probability")
        refuse(role, present & (p < 0).any(-1), "a probability is negative")
        refuse(role, present & (np.abs(p.sum(-1) - 1) > 1e-3), "the probabilities do not add up to 1")
        p = np.where(present[:, None], p, 1 / chosen.number)
        return {"log_probs": np.log(np.maximum(p, 1e-12))}

    def means() -> dict[str, np.ndarray]:
        m = read_columns("means")
        refuse("means", present & np.isnan(m).any(-1), "a mean is missing")
        won = np.where(present, m[np.arange(len(m)), np.maximum(chosen.action, 0)], np.nan)
        return {"means": m, "score": won, "chance": m.mean(-1), "best": m.max(-1), "worst": m.min(-1)}

    def score() -> dict[str, np.ndarray]:
        value = np.where(present, numbers(table, roles.of["score"][0], "score"), np.nan)
        refuse("score", np.array([np.isnan(value).all()]), "it is empty on every trial")
        order = np.lexsort((place, life))
        inner = (np.diff(life[order]) == 0) & np.isfinite(np.diff(value[order]) + feedback[order][1:])
        off = np.abs(np.diff(value[order]) - feedback[order][1:])[inner]
        total = off.size > 1 and off.max() < 1e-6 and np.nanmax(value) > np.nanmin(value)
        refuse("score", np.array([total]), "it is the running total of the feedback")
        return {"score": value}

    def chance() -> dict[str, np.ndarray]:
        value = numbers(table, roles.of["chance"][0], "chance")
        refuse("chance", present & np.isnan(value), "it is empty on a trial that has a choice")
        return {"chance": value}

    def best() -> dict[str, np.ndarray]:
        value = numbers(table, roles.of["best"][0], "best")
        refuse("best", present & np.isnan(value), "it is empty on a trial that has a choice")
        for other in [name for name in ("score", "chance") if name in latents]:
            refuse("best", value < latents[other] - 1e-6, f"the best attainable score is below the {other}")
        return {"best": value}

    unread: set[str] = set()
    notes: list[str] = []
    for build in (probabilities, means, score, chance, best):
        role = build.__name__
        if role not in roles.of:
            continue
        try:
            latents |= build()
        except MesascopeError as error:
            if role in roles.requested:
                raise
            unread.add(role)
            notes.append(f"{list_names(roles.of[role])} not read as {role}: {error.problem}")
    if "log_probs" in latents:
        columns = list_names(roles.of["probabilities"])
        notes.append(f"{columns}: the probabilities with which the choices were made.")
    realised = "The log holds no expected pay-offs: findings use the feedback, the realised pay-off."
    notes.append("Scores are expected pay-offs, as logged." if "score" in latents else realised)
    return latents, unread, notes
