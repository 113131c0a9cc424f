"""Reads the feedback of each choice in a log, and expected pay-offs if the log contains them."""

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.logs.codes import Choices
from mesascope.logs.columns import Roles, format_role_option, read_numbers
from mesascope.logs.tables import Table, format_count, format_names

MISSING_CODES = (-99, -999, -9999, -99999, 999, 9999, 99999)


def read_feedback(
    table: Table, roles: Roles, action: np.ndarray, lifetime: np.ndarray, position: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Reads the feedback of each row (NaN if missing); also returns notes.

    Args:
        table: the log as a table.
        roles: the columns of the log by role.
        action: the choice of each row; -1 if the trial is missing.
        lifetime: the lifetime of each row.
        position: the position of each row in its lifetime.

    Raises:
        MesascopeError: a cell is not a number or is infinite, no trial has feedback, or there are more choices than
            columns with the outcomes of the choices.
    """
    has_choice = action >= 0
    column = roles.get_column("feedback")
    notes: list[str] = []
    if column is not None:
        value = read_numbers(table, column, "feedback")
        is_outlier = np.isin(value, MISSING_CODES) & has_choice
        usual = value[~is_outlier & has_choice & ~np.isnan(value)]
        is_outlier &= bool(usual.size and np.ptp(usual)) and np.abs(value) > 10 * np.abs(usual).max()
        if is_outlier.any():
            codes = ", ".join(f"{code:g}" for code in np.unique(value[is_outlier]))
            count = format_count(int(is_outlier.sum()), "trial")
            notes.append(f"Feedback far outside the usual range, read as missing: {codes} ({count}).")
            value = np.where(is_outlier, np.nan, value)
    elif len(outcomes := roles.columns.get("counterfactual", [])) > 1:
        if action.max() >= len(outcomes):
            problem = f"The role counterfactual has {len(outcomes)} columns, and there are more choices."
            raise MesascopeError(problem, f"Name one column per choice: {format_role_option('counterfactual', 'A+B')}.")
        shown = np.stack([read_numbers(table, c, "counterfactual") for c in outcomes], -1)
        value = shown[np.arange(len(shown)), np.maximum(action, 0)]
    else:
        parts = [read_numbers(table, c, "gain") for c in roles.columns.get("gain", [])]
        parts += [-np.abs(read_numbers(table, c, "loss")) for c in roles.columns.get("loss", [])]
        value = np.where(np.isnan(parts).all(0), np.nan, np.nansum(parts, 0))
    value = np.where(has_choice, value, np.nan)
    n_without_feedback = int((has_choice & np.isnan(value)).sum())
    if n_without_feedback == has_choice.sum():
        columns = [c for role in ("feedback", "gain", "loss") for c in roles.columns.get(role, [])]
        problem = f"{format_names(columns)} contains no feedback on any trial that has a choice."
        raise MesascopeError(problem, f"Name the column of the feedback: {format_role_option('feedback')}.")
    if n_without_feedback:
        notes.append(f"Trials with a choice and no feedback: {n_without_feedback:,}; only their feedback is missing.")
        choices_without_feedback = [a for a in np.unique(action[has_choice]) if np.isnan(value[action == a]).all()]
        if choices_without_feedback:
            listing = ", ".join(f"choice {a} (counted from 0)" for a in choices_without_feedback)
            notes.append(f"Choices without any feedback: {listing}. If they are missing trials, empty their cells.")
    values = value[~np.isnan(value)]
    if np.ptp(values) == 0:
        notes.append(f"The feedback is {values[0]:g} on every trial, so nothing can be acquired from it.")
    order = np.lexsort((position, lifetime))
    step = np.diff(value[order])[np.diff(lifetime[order]) == 0]
    if len(np.unique(values)) > 10 and len(step) > 10 and not (step < 0).any():
        notes.append("The feedback never falls within a lifetime; if it is a running total, log each trial's feedback.")
    return value, notes


def read_latents(
    table: Table, roles: Roles, choices: Choices, feedback: np.ndarray, lifetime: np.ndarray, *, position: np.ndarray
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Reads expected pay-offs and choice probabilities, which the subject did not observe, if the log contains them.

    Roles whose columns cannot be read are removed from `roles`, if the user did not assign them.

    Args:
        table: the log as a table.
        roles: the columns of the log by role.
        choices: the choices of the log's rows.
        feedback: the feedback of each row.
        lifetime: the lifetime of each row.
        position: the position of each row in its lifetime.

    Returns:
        A dict with those of log_probs [rows, K], means [rows, K], score [rows], chance [rows], best [rows] and worst
        [rows] that the log contains, for K choices; and notes.

    Raises:
        MesascopeError: a column to which the user gave one of these roles cannot be read in this role.
    """
    has_choice = choices.action >= 0
    latents: dict[str, np.ndarray] = {}

    def refuse_bad_rows(role: str, is_bad: np.ndarray, problem: str) -> None:
        """Raises MesascopeError for the first bad row of a role, if there is one."""
        remedy = f"Correct it, or leave it out: {format_role_option(role, '')}."
        table.refuse_bad_rows(is_bad, roles.columns[role][0], f"{{place}}: {problem}.", remedy)

    def read_columns(role: str) -> np.ndarray:
        """Reads the numbers [rows, K] in a role's columns, in the order of the K choices."""
        columns, ends = roles.columns[role], roles.suffixes.get(role)
        if ends and not ends[0].isdecimal():
            by_name = {e.casefold(): c for e, c in zip(ends, columns, strict=True)}
            columns = [by_name[n.casefold()] for n in choices.names if n.casefold() in by_name]
        if len(columns) != choices.n_choices:
            problem = f"The role {role} has {len(columns)} columns for {choices.n_choices} choices."
            raise MesascopeError(problem, f"Name one column per choice: {format_role_option(role, 'A+B')}.")
        return np.stack([read_numbers(table, c, role) for c in columns], -1)

    def read_role(role: str) -> dict[str, np.ndarray]:
        """Reads a role's columns, and returns by name the variables [rows] or [rows, K] that follow from them."""
        if role == "probabilities":
            p = read_columns(role)
            refuse_bad_rows(role, has_choice & np.isnan(p).any(-1), "a choice has no probability")
            refuse_bad_rows(role, has_choice & (p < 0).any(-1), "a probability is negative")
            refuse_bad_rows(role, has_choice & (np.abs(p.sum(-1) - 1) > 1e-3), "the probabilities do not add up to 1")
            p = np.where(has_choice[:, None], p, 1 / choices.n_choices)
            return {"log_probs": np.log(np.maximum(p, 1e-12))}
        if role == "means":
            means = read_columns(role)
            refuse_bad_rows(role, has_choice & np.isnan(means).any(-1), "a mean is missing")
            score = np.where(has_choice, means[np.arange(len(means)), np.maximum(choices.action, 0)], np.nan)
            bounds = {"chance": means.mean(-1), "best": means.max(-1), "worst": means.min(-1)}
            return {"means": means, "score": score, **bounds}
        values = read_numbers(table, roles.columns[role][0], role)
        if role == "score":
            values = np.where(has_choice, values, np.nan)
            refuse_bad_rows(role, np.array([np.isnan(values).all()]), "it is empty on every trial")
            order = np.lexsort((position, lifetime))
            increase = np.diff(values[order])
            has_next = (np.diff(lifetime[order]) == 0) & np.isfinite(increase + feedback[order][1:])
            differences = np.abs(increase - feedback[order][1:])[has_next]
            is_total = differences.size > 1 and differences.max() < 1e-6 and np.nanmax(values) > np.nanmin(values)
            refuse_bad_rows(role, np.array([is_total]), "it is the running total of the feedback")
        else:
            refuse_bad_rows(role, has_choice & np.isnan(values), "it is empty on a trial that has a choice")
        for other in ("score", "chance") if role == "best" else ():
            if other in latents:
                refuse_bad_rows(role, values < latents[other] - 1e-6, f"the best attainable score is below the {other}")
        return {role: values}

    notes: list[str] = []
    for role in ("probabilities", "means", "score", "chance", "best"):
        if role not in roles.columns:
            continue
        try:
            latents |= read_role(role)
        except MesascopeError as error:
            if role in roles.requested_roles:
                raise
            notes.append(f"{format_names(roles.columns[role])} not read as {role}: {error.problem}")
            roles.remove([role])
    if "log_probs" in latents:
        columns = format_names(roles.columns["probabilities"])
        notes.append(f"{columns}: the probabilities with which the choices were made.")
    realised = "The log contains no expected pay-offs, so findings use the feedback (the realised pay-off)."
    notes.append("Scores are expected pay-offs, as logged." if "score" in latents else realised)
    return latents, notes
