"""Reads the feedback of each choice in a log, and the expected pay-offs if the log has them."""

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.codes import Choices
from mesascope.logs.columns import Roles, read_numbers, spell_role
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
    has_choice = action >= 0
    column = roles.one("feedback")
    notes: list[str] = []
    if column is not None:
        value = read_numbers(table, column, "feedback")
        is_outlier = np.isin(value, MISSING_CODES) & has_choice
        usual = value[~is_outlier & has_choice & ~np.isnan(value)]
        is_outlier &= bool(usual.size and np.ptp(usual)) and np.abs(value) > 10 * np.abs(usual).max()
        if is_outlier.any():
            codes = ", ".join(f"{code:g}" for code in np.unique(value[is_outlier]))
            count = count_noun(int(is_outlier.sum()), "trial")
            notes.append(f"Feedback far outside the usual range, read as missing: {codes} ({count}).")
            value = np.where(is_outlier, np.nan, value)
    else:
        parts = [read_numbers(table, c, "gain") for c in roles.of.get("gain", [])]
        parts += [-np.abs(read_numbers(table, c, "loss")) for c in roles.of.get("loss", [])]
        value = np.where(np.isnan(parts).all(0), np.nan, np.nansum(parts, 0))
    value = np.where(has_choice, value, np.nan)
    n_without = int((has_choice & np.isnan(value)).sum())
    if n_without == has_choice.sum():
        columns = [c for role in ("feedback", "gain", "loss") for c in roles.of.get(role, [])]
        raise MesascopeError(
            f"{list_names(columns)} contains no feedback on any trial that has a choice.",
            f"Name the column of the feedback: {spell_role('feedback')}.",
        )
    if n_without:
        notes.append(f"Trials with a choice and no feedback: {n_without:,}; only their feedback is missing.")
        lacking = [a for a in np.unique(action[has_choice]) if np.isnan(value[action == a]).all()]
        if lacking:
            listing = ", ".join(f"choice {a} (counted from 0)" for a in lacking)
            notes.append(f"Choices without any feedback: {listing}. If they are missing trials, empty their cells.")
    values = value[~np.isnan(value)]
    if np.ptp(values) == 0:
        notes.append(f"The feedback is {values[0]:g} on every trial, so nothing can be acquired from it.")
    order = np.lexsort((place, life))
    step = np.diff(value[order])[np.diff(life[order]) == 0]
    if len(np.unique(values)) > 10 and len(step) > 10 and not (step < 0).any():
        notes.append("The feedback never falls within a lifetime; if it is a running total, log each trial's feedback.")
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
    has_choice = chosen.action >= 0
    latents: dict[str, np.ndarray] = {}

    def refuse(role: str, is_bad: np.ndarray, problem: str) -> None:
        remedy = f"Correct it, or leave it out: {spell_role(role, '')}."
        table.refuse(is_bad, roles.of[role][0], f"{{place}}: {problem}.", remedy)

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
        return np.stack([read_numbers(table, c, role) for c in columns], -1)

    def probabilities() -> dict[str, np.ndarray]:
        role = "probabilities"
        p = read_columns(role)
        refuse(role, has_choice & np.isnan(p).any(-1), "a choice has no probability")
        refuse(role, has_choice & (p < 0).any(-1), "a probability is negative")
        refuse(role, has_choice & (np.abs(p.sum(-1) - 1) > 1e-3), "the probabilities do not add up to 1")
        p = np.where(has_choice[:, None], p, 1 / chosen.number)
        return {"log_probs": np.log(np.maximum(p, 1e-12))}

    def means() -> dict[str, np.ndarray]:
        m = read_columns("means")
        refuse("means", has_choice & np.isnan(m).any(-1), "a mean is missing")
        mean_of_choice = np.where(has_choice, m[np.arange(len(m)), np.maximum(chosen.action, 0)], np.nan)
        return {"means": m, "score": mean_of_choice, "chance": m.mean(-1), "best": m.max(-1), "worst": m.min(-1)}

    def score() -> dict[str, np.ndarray]:
        value = np.where(has_choice, read_numbers(table, roles.of["score"][0], "score"), np.nan)
        refuse("score", np.array([np.isnan(value).all()]), "it is empty on every trial")
        order = np.lexsort((place, life))
        has_next = (np.diff(life[order]) == 0) & np.isfinite(np.diff(value[order]) + feedback[order][1:])
        differences = np.abs(np.diff(value[order]) - feedback[order][1:])[has_next]
        total = differences.size > 1 and differences.max() < 1e-6 and np.nanmax(value) > np.nanmin(value)
        refuse("score", np.array([total]), "it is the running total of the feedback")
        return {"score": value}

    def chance() -> dict[str, np.ndarray]:
        value = read_numbers(table, roles.of["chance"][0], "chance")
        refuse("chance", has_choice & np.isnan(value), "it is empty on a trial that has a choice")
        return {"chance": value}

    def best() -> dict[str, np.ndarray]:
        value = read_numbers(table, roles.of["best"][0], "best")
        refuse("best", has_choice & np.isnan(value), "it is empty on a trial that has a choice")
        for other in [name for name in ("score", "chance") if name in latents]:
            refuse("best", value < latents[other] - 1e-6, f"the best attainable score is below the {other}")
        return {"best": value}

    skipped: set[str] = set()
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
            skipped.add(role)
            notes.append(f"{list_names(roles.of[role])} not read as {role}: {error.problem}")
    if "log_probs" in latents:
        columns = list_names(roles.of["probabilities"])
        notes.append(f"{columns}: the probabilities with which the choices were made.")
    realised = "The log contains no expected pay-offs, so findings use the feedback (the realised pay-off)."
    notes.append("Scores are expected pay-offs, as logged." if "score" in latents else realised)
    return latents, skipped, notes
