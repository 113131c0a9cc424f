"""What was run: versions, commit, seed, tasks, subjects, the constants of the placement rule."""

import dataclasses
import inspect
import re
from collections.abc import Sequence
from typing import Any

from mesascope.questions.spectrum.placement import Rule
from mesascope.reporting.hints import Examination


def facts(examinations: Sequence[Examination]) -> list[tuple[str, str]]:
    """What all subjects of the run share, as name and value; several values are listed."""
    made = [f.made for e in examinations for f in e.answers]
    lives = [lived for e in examinations for lived in e.trials.values()]
    versions: dict[str, list[Any]] = {}
    for one in made:
        for package, version in (one.get("versions") or {}).items():
            versions.setdefault(package, []).append(version)
    rows = [
        ("family", _listed(e.family for e in examinations)),
        ("splits", _listed(split for e in examinations for split in e.trials)),
        ("lifetimes on a split", _listed(lived.sizes["lifetime"] for lived in lives)),
        ("trials of a lifetime", _listed(lived.sizes["trial"] for lived in lives)),
        ("seed", _listed(m.get("key") for m in made)),
        ("commit", _listed(m.get("commit") for m in made)),
        ("versions", ", ".join(f"{p} {_listed(v)}" for p, v in versions.items())),
    ]
    return [(name, value) for name, value in rows if value]


def subjects(examinations: Sequence[Examination]) -> list[tuple[str, str, str]]:
    """Per subject: its name, what it was trained on, one hash over its weights."""
    return [
        (e.subject, e.trained_on, _listed(f.fingerprint for f in e.answers) or "not available")
        for e in examinations
    ]


def constants(examinations: Sequence[Examination]) -> list[tuple[str, str, str]]:
    """The constants of the rules that placed the subjects: name, value, meaning."""
    rules = [e.placement.rule for e in examinations if e.placement]
    said = dict(re.findall(r"^\s+(\w+): (.+)$", inspect.getdoc(Rule) or "", re.MULTILINE))
    rows = []
    for field in dataclasses.fields(Rule) if rules else ():
        value = _listed(getattr(rule, field.name) for rule in rules)
        rows.append((field.name, value, said.get(field.name, "").rstrip(".")))
    return rows


def _listed(values: Any) -> str:
    """Different values in the order of their first appearance."""
    return ", ".join(dict.fromkeys(str(v) for v in values if v is not None))
