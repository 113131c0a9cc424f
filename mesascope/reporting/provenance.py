"""Describes what was run: versions, commit, seed, tasks, subjects, and the constants of the placement rule."""

import dataclasses
import inspect
import re
from collections.abc import Sequence
from typing import Any

from mesascope.questions.spectrum.placement import Rule
from mesascope.reporting.hints import Examination


def list_facts(examinations: Sequence[Examination]) -> list[tuple[str, str]]:
    """Lists the facts about the run as pairs of a name and a value; if subjects differ, their values are joined."""
    origins = [f.made for e in examinations for f in e.answers]
    datasets = [dataset for e in examinations for dataset in e.trials.values()]
    versions: dict[str, list[Any]] = {}
    for origin in origins:
        for package, version in (origin.get("versions") or {}).items():
            versions.setdefault(package, []).append(version)
    rows = [
        ("family", join_distinct(e.family for e in examinations)),
        ("splits", join_distinct(split for e in examinations for split in e.trials)),
        ("lifetimes on a split", join_distinct(dataset.sizes["lifetime"] for dataset in datasets)),
        ("trials of a lifetime", join_distinct(dataset.sizes["trial"] for dataset in datasets)),
        ("seed", join_distinct(m.get("key") for m in origins)),
        ("commit", join_distinct(m.get("commit") for m in origins)),
        ("versions", ", ".join(f"{p} {join_distinct(v)}" for p, v in versions.items())),
    ]
    return [(name, value) for name, value in rows if value]


def list_constants(examinations: Sequence[Examination]) -> list[tuple[str, str, str]]:
    """Lists the name, value and meaning of every constant of the placement rule; values that differ are joined."""
    rules = [dataclasses.asdict(e.placement.rule) for e in examinations if e.placement]
    meanings = read_meanings(Rule)
    return [
        (name, join_distinct(rule[name] for rule in rules), meanings.get(name, "").rstrip("."))
        for name in (rules[0] if rules else ())
    ]


def read_meanings(documented_class: type) -> dict[str, str]:
    """Reads the meaning of each attribute from the list 'Attributes' of a docstring; a meaning may span lines."""
    listing = (inspect.getdoc(documented_class) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.split(r"^    (?=\w+: )", listing, flags=re.MULTILINE)[1:]
    pairs = (entry.split(": ", 1) for entry in entries)
    return {name: " ".join(meaning.split()) for name, meaning in pairs}


def join_distinct(values: Any) -> str:
    """Joins the distinct values by commas, in order of appearance."""
    return ", ".join(dict.fromkeys(str(v) for v in values if v is not None))
