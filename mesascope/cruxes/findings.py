"""Uses findings of mesascope as evidence; the measures of a crux file count the findings as k of n."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.claims import Measure
from mesascope.cruxes.entries import OLDER_RUNGS, RUNGS
from mesascope.cruxes.evidence import Update, update_people
from mesascope.errors import MesascopeError, require, require_known_name

FORMAT = "mesascope-finding/2"
OLD_FORMAT = "mesascope-finding/1"  # this format has the key 'probe' instead of 'metric'
# the kind of a subject by the adapter in its name, for older documents, which do not state the kind
KINDS_BY_ADAPTER = {"recurrent": "trained", "thinking_network": "trained"}
KINDS_BY_ADAPTER |= dict.fromkeys(("function", "torch_module", "sb3", "onnx", "transformers", "openai_api"), "outside")
NO_FINGERPRINT = "not available"  # the fingerprint of a subject without weights, in its findings
MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class Unit:
    """One unit that a measure counts, with its verdict.

    Args:
        name: the name of the subject, or its fingerprint; for a training seed, the subject's name and the number of
            the seed.
        verdict: 'observed', 'not observed', 'undetermined', or 'does not count' if the measure excludes the unit.
        reason: the numbers or the fact behind the verdict, as a text.
    """

    name: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Tally:
    """The count of one measure over a folder of findings.

    Args:
        measure, evidence: the ids of the measure and of its evidence item.
        k, n: the number of units that were observed, and the number of units that count; None if no unit counts.
        units: every unit with its verdict.
        gap: a text, always printed, that names the network measured and the network that the claim is about.
        updates: the update of each person on the evidence item.
    """

    measure: str
    evidence: str
    k: int | None
    n: int | None
    units: tuple[Unit, ...]
    gap: str
    updates: tuple[Update, ...]


def read_findings(path: str | Path) -> list[dict[str, Any]]:
    """Reads subjects and their findings from findings.json.

    Args:
        path: a folder with findings.json, or a file with {"subjects": [...]} or with a list of findings. The findings
            have the format mesascope-finding/2 or /1.

    Returns one dict per subject with the keys 'subject', 'findings' and, if the subject was placed, 'placement'.
    """
    path = Path(path)
    file = path / "findings.json" if path.is_dir() else path
    name = repr(str(file))
    try:
        if file.stat().st_size > MAX_BYTES:
            raise MesascopeError(f"{name} is larger than 50 MB.", "Name a folder with one findings.json.")
        data = json.loads(file.read_bytes())
    except OSError as error:
        raise MesascopeError(f"{name} cannot be read: {error.strerror}.", "Name a folder with findings.json.") from None
    except (ValueError, RecursionError):
        raise MesascopeError(f"{name} is not JSON.", "Findings are written by `mesascope examine --out`.") from None
    if isinstance(data, dict) and isinstance(data.get("subjects"), list):
        subjects = data["subjects"]
    elif isinstance(data, list):
        findings_by_subject: dict[str, list[Any]] = {}
        for finding in data:
            subject = str(finding.get("subject")) if isinstance(finding, dict) else "?"
            findings_by_subject.setdefault(subject, []).append(finding)
        subjects = [{"subject": subject, "findings": findings} for subject, findings in findings_by_subject.items()]
    else:
        problem = f"{name} contains neither subjects nor a list of findings."
        raise MesascopeError(problem, 'Expected {"subjects": [...]} or [finding, …].')
    for subject in subjects:
        findings = subject.get("findings") if isinstance(subject, dict) else None
        is_valid = isinstance(findings, list) and all(isinstance(finding, dict) for finding in findings)
        problem = f"A subject in {name} has no list of findings."
        require(is_valid, problem, "Write it again with `mesascope examine --out`.")
        for format_name in (finding.get("format") for finding in findings or []):
            problem = f"A finding in {name} has the format {format_name!r:.60}."
            require(format_name in (FORMAT, OLD_FORMAT), problem, f"Expected {FORMAT!r}.")
    return subjects


def count_units(measure: Measure, subjects: list[dict[str, Any]]) -> tuple[int | None, int | None, tuple[Unit, ...]]:
    """Counts k and n by one measure, and gives the verdict on each unit.

    Args:
        measure: the measure whose rule is applied.
        subjects: the dicts that `read_findings` returns.

    Only subjects of the measure's kinds that pass its filters count, so that controls are not evidence. If the measure
    counts fingerprints, subjects with the same fingerprint (the same weights) are one unit, and a subject without a
    fingerprint is identified by its name. A unit with different verdicts is undetermined. The measure's field
    `undetermined` decides whether such a unit is left out or counts as not observed.

    Returns k, n and all units; k and n are None if no unit counts.
    """
    verdicts: dict[str, list[tuple[str, str]]] = {}
    excluded_units = []
    for subject in subjects:
        name = str(subject.get("subject", "?"))
        if reason := _find_exclusion(measure, subject):
            excluded_units.append(Unit(name, "does not count", reason))
            continue
        if measure.unit_kind == "seed":
            for i, number in enumerate(_list_seed_numbers(measure, subject)):
                verdict = "observed" if number > measure.threshold else "not observed"
                verdicts[f"{name}, seed {i}"] = [(verdict, f"{measure.metric} {number:.3g}")]
            continue
        fingerprints = {str(finding.get("fingerprint", NO_FINGERPRINT)) for finding in subject["findings"]}
        fingerprints.discard(NO_FINGERPRINT)
        key = min(fingerprints) if measure.unit_kind == "fingerprint" and len(fingerprints) == 1 else name
        verdicts.setdefault(key, []).append(_decide_verdict(measure, subject))
    units = []
    for key, unit_verdicts in verdicts.items():
        distinct_verdicts = {v for v, _ in unit_verdicts}
        verdict = distinct_verdicts.pop() if len(distinct_verdicts) == 1 else "undetermined"
        units.append(Unit(key, verdict, "; ".join(dict.fromkeys(r for _, r in unit_verdicts))))
    k = sum(u.verdict == "observed" for u in units)
    n = len(units) if measure.undetermined == "count as not" else sum(u.verdict != "undetermined" for u in units)
    all_units = (*units, *excluded_units)
    return (k, n, all_units) if n else (None, None, all_units)


def _list_seed_numbers(measure: Measure, subject: dict[str, Any]) -> list[float]:
    """Lists a metric's number for every training seed."""
    findings = [f for f in subject["findings"] if f.get("metric") == measure.metric]
    settings = [f["settings"] for f in findings if isinstance(f.get("settings"), dict)]
    return [float(x) for s in settings for x in s.get("by_seed", []) if _is_number(x)]


def _find_exclusion(measure: Measure, subject: dict[str, Any]) -> str:
    """Finds the reason why a subject does not count for a measure; '' if the subject counts."""
    name = str(subject.get("subject", "?"))
    kind = subject.get("kind") or KINDS_BY_ADAPTER.get(name.partition(":")[0], "unstated")
    if kind not in measure.kinds:
        return f"{kind}; the rule counts {' and '.join(measure.kinds)}"
    for key, wanted in measure.filters.items():
        value = str(subject.get(key) or next((f[key] for f in subject["findings"] if f.get(key)), "not stated"))
        if value != wanted and value.partition(":")[0] != wanted:
            return f"{key} {value}; the rule counts {wanted}"
    return ""


def _decide_verdict(measure: Measure, subject: dict[str, Any]) -> tuple[str, str]:
    if measure.rung:
        placement = subject.get("placement")
        placement = placement if isinstance(placement, dict) else {}
        lowest, highest = placement.get("lowest"), placement.get("highest")
        if lowest not in OLDER_RUNGS or highest not in OLDER_RUNGS:
            return "undetermined", "no placement"
        required_rung = RUNGS.index(measure.rung)
        reason = f"placed {lowest}" if lowest == highest else f"placed between {lowest} and {highest}"
        reason += "" if highest in RUNGS else f" by the older rule, where {highest} was above {RUNGS[-1]}"
        if OLDER_RUNGS.index(lowest) >= required_rung:
            is_labelled = required_rung > RUNGS.index("locating") and subject.get("trained_on") == "unlimited"
            return "observed", reason + (", by the label 'unlimited' and not by a count of bits" if is_labelled else "")
        return ("not observed" if OLDER_RUNGS.index(highest) < required_rung else "undetermined"), reason
    findings = [f for f in subject["findings"] if f.get("metric", f.get("probe")) == measure.metric]
    if not findings:
        return "undetermined", f"no finding of {measure.metric}"
    verdicts, reasons = set(), []
    for finding in findings:
        low, high = finding.get("low"), finding.get("high")
        if finding.get("status") != "measured" or not _is_number(low) or not _is_number(high):
            verdicts.add("undetermined")
            reasons.append(str(finding.get("status", "no status")))
            continue
        reasons.append(f"{measure.metric} in [{low:.3g}, {high:.3g}]")
        verdicts.add(
            "observed" if low > measure.threshold else "not observed" if high < measure.threshold else "undetermined"
        )
    return (verdicts.pop() if len(verdicts) == 1 else "undetermined"), "; ".join(reasons)


def _is_number(x: object) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and x == x


def update_from_findings(argument: Argument, path: str | Path, measure: str | None = None) -> list[Tally]:
    """Updates each person on a folder of findings, with every measure of the file.

    Args:
        argument: the argument, whose file contains the measures.
        path: see `read_findings`.
        measure: the id of the only measure to use; by default every measure is used.

    Returns a `Tally` per measure, with the gap between the network measured and the network of the claim.
    A person's belief moves only if the file gives a likelihood ratio for that person. On evidence that is not a count,
    beliefs are updated only if all units were observed or no unit was observed.
    """
    measures = argument.content.measures
    remedy = "Add [measures]: which findings count for which evidence."
    require(bool(measures), f"{argument.name} has no [measures].", remedy)
    chosen = list(measures) if measure is None else [require_known_name("measure", measure, measures)]
    subjects = read_findings(path)
    tallies = []
    for rule in (measures[name] for name in chosen):
        k, n, units = count_units(rule, subjects)
        updates: list[Update] = []
        if n and argument.content.evidence[rule.evidence].is_count:
            updates = update_people(argument, rule.evidence, k, n)
        elif n and k in (0, n):
            updates = update_people(argument, rule.evidence, is_observed=k == n)
        gap = f"measured: {rule.measured_network}; claimed: {rule.claimed_network}"
        tallies.append(Tally(rule.id, rule.evidence, k, n, units, gap, tuple(updates)))
    return tallies
