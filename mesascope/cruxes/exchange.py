"""Reads arguments and forecasts from other programs' files as crux files, and writes arguments for Squiggle."""

import csv
import io
import json
import re
from collections.abc import Mapping
from typing import Any

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.reader import Draft
from mesascope.errors import MesascopeError, require

MAX_ROWS = 400
TITLE_KEYS = ("question", "title", "question title", "question_title", "name")
CHANCE_KEYS = ("probability", "probability yes", "my_prediction", "community_prediction", "prediction", "prob", "q2")
PERSON_KEYS = ("username", "forecaster username", "forecaster", "user", "person", "forecaster id")
_LINE_PATTERN = re.compile(r"\s*(?:[+*-]\s*)?[\[<](?P<name>[^\]>]+)[\]>]\s*:?(?P<text>[^{]*)(?P<data>\{.*\})?\s*")
_CHANCE_PATTERN = re.compile(r"p\(\s*([^|)]+?)\s*(?:\|\s*([^)]*))?\)", re.I)


def read_argdown(text: str, title: str = "imported") -> Draft:
    """Reads an argument map in Argdown, or in BayesDown, which adds numbers as JSON.

    Args:
        text: the map, with the names of claims in square brackets. The first claim becomes the target of the query.
            Only the conditions in the numbers connect the claims; indentation is not used.
        title: the title of the crux file.

    Numbers become claims of a person named 'source'. A claim without a number stays open, and its answer is [0, 1].
    """
    draft = Draft(title, people={"source": "the author of the imported map"})
    names: dict[str, str] = {}
    numbers: list[tuple[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("//", "#", "=", "---")):
            continue
        match = _LINE_PATTERN.fullmatch(line)
        if not match:
            problem = f"Line {number} is not a claim of Argdown: {line.strip()[:60]!r}."
            raise MesascopeError(problem, "Write [Name]: what it says.")
        name = _make_atom(match["name"])
        names[match["name"].strip().lower()] = name
        draft.atoms[name] = " ".join((draft.atoms.get(name, "") or match["text"]).split()) or name
        draft.target = draft.target or name
        if match["data"]:
            try:
                numbers.append((name, json.loads(match["data"])))
            except (ValueError, RecursionError):
                raise MesascopeError(f"The numbers in line {number} are not JSON.", "Correct the braces.") from None
    require(bool(names), "The text has no claims.", "Write [Name]: what it says.")
    require(len(draft.atoms) <= MAX_ROWS, f"There are {len(draft.atoms)} claims.", f"At most {MAX_ROWS} are possible.")
    for _, data in numbers:
        tables = [data.get(key) for key in ("priors", "posteriors")] if isinstance(data, dict) else []
        for chances in (table for table in tables if isinstance(table, dict)):
            for key, value in chances.items():
                _add_chance(draft, str(key), value)
    return draft


def _add_chance(draft: Draft, key: str, value: object) -> None:
    """Adds a claim such as p(X_TRUE | A_TRUE, B_FALSE) = 0.9; a chance of X_FALSE is ignored, as it adds nothing."""
    match = _CHANCE_PATTERN.fullmatch(key.strip())
    if not match:
        raise MesascopeError(f"{key[:60]!r} is not a probability of BayesDown.", "Example: p(X_TRUE|A_FALSE).")
    event, is_true = _split_state(draft, match[1])
    if not is_true:
        return
    states = [_split_state(draft, state) for state in (match[2] or "").split(",") if state.strip()]
    condition = " & ".join(atom if is_true else f"!{atom}" for atom, is_true in states)
    name = f"s{len(draft.claims) + 1}"
    draft.claims[name] = {"by": "source", "event": event, "given": condition, "value": str(value)}


def _split_state(draft: Draft, text: str) -> tuple[str, bool]:
    base, _, state = text.strip().rpartition("_")
    by_lower = {atom.lower(): atom for atom in draft.atoms}
    atom = by_lower.get(_make_atom(base).lower())
    if atom is None or state.upper() not in ("TRUE", "FALSE"):
        raise MesascopeError(f"{text.strip()[:60]!r} is not a state of a claim.", "Example: Rain_TRUE.")
    return atom, state.upper() == "TRUE"


def _make_atom(name: str) -> str:
    atom = re.sub(r"\W+", "_", name.strip(), flags=re.A).strip("_")[:60]
    return atom if re.match(r"[A-Za-z_]", atom) else f"Q{atom}"


def read_forecasts(text: str, is_json: bool, title: str = "imported") -> Draft:
    """Reads forecasts exported from Metaculus or Manifold, as CSV or JSON.

    Args:
        text: rows with a question and a probability (see `TITLE_KEYS` and `CHANCE_KEYS`), and perhaps a forecaster.
        is_json: whether the text is JSON; otherwise it is CSV.
        title: the title of the crux file.

    A row without a forecaster becomes a claim of 'crowd' (the market or community). Rows without a number are left out,
    and so are all rows after the first `MAX_ROWS`.
    """
    try:
        rows = _read_json_rows(text) if is_json else list(csv.DictReader(io.StringIO(text)))
    except csv.Error as error:
        raise MesascopeError(f"The file is not CSV: {error}.", "Export it again.") from None
    draft = Draft(title)
    atoms: dict[str, str] = {}
    for row in rows[:MAX_ROWS]:
        fields = {str(key).strip().lower(): value for key, value in row.items()}
        question = next((str(fields[key]) for key in TITLE_KEYS if fields.get(key)), "")
        chance = next((c for c in (_find_chance(fields.get(key)) for key in CHANCE_KEYS) if c is not None), None)
        if not question or chance is None:
            continue
        atom = atoms.setdefault(question, f"Q{len(atoms) + 1}")
        draft.atoms[atom] = " ".join(question.split())[:300]
        name = next((str(fields[key]) for key in PERSON_KEYS if fields.get(key)), "")
        person = _make_atom(name).lower() if name else "crowd"
        draft.people.setdefault(person, name or "the market or community")
        draft.claims[f"f{len(draft.claims) + 1}"] = {"by": person, "event": atom, "value": f"{chance:.6g}"}
    remedy = f"Needed: one of {', '.join(TITLE_KEYS[:3])}, and one of {', '.join(CHANCE_KEYS[:4])}."
    require(bool(draft.claims), "The file has no question with a probability.", remedy)
    draft.target = next(iter(draft.atoms))
    return draft


def read_json_table(text: str) -> dict[str, Any]:
    """Reads the plain data of a crux file that was exported as JSON."""
    data = _read_json(text)
    require(isinstance(data, dict), "The JSON is not a table.", "Export it again: mesascope crux export --format json.")
    return data


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise MesascopeError("The file is not JSON.", "Export it again from the program that wrote it.") from None


def _read_json_rows(text: str) -> list[dict[str, Any]]:
    data = _read_json(text)
    if isinstance(data, dict):
        data = next(
            (data[key] for key in ("results", "questions", "markets") if isinstance(data.get(key), list)), [data]
        )
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def _find_chance(value: Any) -> float | None:
    """Finds a probability in a number, a text, or Metaculus's tables with the median q2."""
    if isinstance(value, Mapping):
        inner = (value.get(key) for key in ("q2", "full", "median", "latest"))
        return next((c for c in map(_find_chance, inner) if c is not None), None)
    try:
        chance = float(str(value).rstrip("% ")) / (100 if str(value).rstrip().endswith("%") else 1)
    except ValueError:
        return None
    return chance if 0 <= chance <= 1 else None


def write_squiggle(argument: Argument, person: str) -> str:
    """Writes a person's numbers as a Squiggle program: points, Betas for values with a distribution, and ranges.

    A value that is a set has no distribution. It is written as a uniform distribution, and a comment explains this.
    """
    lines = [f"// {argument.name}: claims of {person}, as the modeller reads them"]
    for claim in argument.list_claims(person):
        reading = argument.pick_value(claim)
        beta = reading.find_beta()
        condition = f" given {claim.condition}" if claim.condition.atoms else ""
        value = f"uniform({reading.low:.6g}, {reading.high:.6g}) // a set: no distribution was stated"
        if beta:
            value = f"beta({beta[0]:.6g}, {beta[1]:.6g})"
        elif reading.centre is not None:
            value = f"{reading.centre:.6g}"
        lines += [f"// P({claim.event}{condition}), stated as {reading.text}", f"{_make_variable(claim.id)} = {value}"]
    for quantity in argument.content.quantities.values():
        if quantity.person == person:
            shape = "uniform({0:.6g}, {1:.6g})" if quantity.shape == "uniform" else "{0:.6g} to {1:.6g}"
            lines += [f"// {quantity.text or quantity.id}, {quantity.unit}"]
            lines.append(f"{_make_variable(quantity.id)} = {shape.format(quantity.low, quantity.high)}")
    return "\n".join(lines) + "\n"


def _make_variable(name: str) -> str:
    name = re.sub(r"\W", "_", name, flags=re.A)
    return name if name[:1].islower() else f"v_{name}"
