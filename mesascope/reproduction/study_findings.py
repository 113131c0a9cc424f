"""Converts the results of a study to findings, whose units are the training seeds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mesascope.errors import MesascopeError
from mesascope.findings import Finding, to_dict
from mesascope.guards import limits
from mesascope.reproduction.plans import Study, load_study


def read_results(folder: Path) -> dict[str, Any]:
    """Reads the committed results of a study from the study's folder.

    Raises:
        MesascopeError: the study has no results, or they were not written by `mesascope reproduce`.
    """
    path = folder / "results" / "results.json"
    remedy = f"Run mesascope reproduce {folder.name}, and copy its results.json there."
    try:
        document = limits.parse_json(path.read_text())
    except FileNotFoundError:
        raise MesascopeError(f"The study {folder.name!r} has no results.", remedy) from None
    except ValueError as error:
        raise MesascopeError(f"{str(path)!r} is not JSON: {error}.", remedy) from None
    if not isinstance(document, dict) or not isinstance(document.get("values"), list):
        raise MesascopeError(f"{str(path)!r} contains no values of a study.", remedy)
    return document


def export_study(name: str) -> dict[str, Any]:
    """Converts a study's results to a document of findings, which `mesascope crux update --findings` reads.

    Args:
        name: the name of a study that ships with mesascope, or the path of a folder with plan.toml, expects.toml and
            results/results.json.

    Returns:
        {"study": name, "subjects": [...]}. A subject is a dict with `subject` (its name), `kind` ('trained' or
        'scripted'), `recipe`, `family`, `trained_on` and `findings`, which has one finding per quantity. The settings
        of a finding contain the number of every training seed.
    """
    study = load_study(name)
    document = read_results(study.folder)
    values: dict[str, list[dict[str, Any]]] = {}
    for value in document["values"]:
        values.setdefault(value["subject"], []).append(value)
    subjects = []
    for cell in study.subjects:
        subject = {"subject": cell.name, "kind": "trained" if cell.recipe else "scripted"}
        subject |= {
            "recipe": cell.recipe or "none",
            "family": cell.family,
            "trained_on": cell.trained_on or "its family",
        }
        findings = [to_dict(_make_finding(study, document, cell.family, v)) for v in values.get(cell.name, [])]
        subjects.append(subject | {"findings": findings})
    return {"study": study.name, "subjects": subjects}


def _make_finding(study: Study, document: dict[str, Any], family: str, value: dict[str, Any]) -> Finding:
    estimate, low, high = value["ours"], value["low"], value["high"]
    quantity = next((q for q in study.quantities if q.name == value["quantity"]), None)
    by_seed = [x for x in value["by_seed"] if x is not None]
    return Finding(
        metric=value["quantity"],
        question=study.question,
        subject=value["subject"],
        fingerprint="not available",
        family=quantity.family if quantity and quantity.family else family,
        split=quantity.split if quantity and quantity.split else "fresh",
        settings={"study": study.name, "by_seed": by_seed, "lifetimes": value["lifetimes"], "rate": value["rate"]},
        estimate=estimate,
        low=low if estimate is not None and low is not None else None,
        high=high if estimate is not None and high is not None else None,
        confidence=0.95,
        n=value["n"],
        unit="training seed",
        null=0.0,
        status="measured" if estimate is not None else "does not apply",
        reason="" if estimate is not None else (value["why"] or "no seed has this number"),
        made={"commit": document["commit"], "versions": document["versions"]},
    )


def find_values(document: dict[str, Any], quantity: str, subjects: Iterable[str]) -> list[dict[str, Any]]:
    """Finds the values of a quantity for some subjects in the results of a study, in the order of the subjects.

    Raises:
        MesascopeError: the results lack the quantity for one of the subjects.
    """
    subjects = list(subjects)
    values = {(v["quantity"], v["subject"]): v for v in document["values"]}
    missing = [subject for subject in subjects if (quantity, subject) not in values]
    if missing:
        problem = f"The study {document['study']!r} has no {quantity!r} of {missing[0]!r}."
        raise MesascopeError(problem, f"Its subjects: {', '.join(sorted({s for q, s in values if q == quantity}))}.")
    return [values[quantity, subject] for subject in subjects]
