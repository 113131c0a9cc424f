"""Reads the entries that refer to claims: refusals, questions, bridges, query, cuts, evidence and measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mesascope.cruxes import claims
from mesascope.cruxes.language import Event, enumerate_worlds
from mesascope.cruxes.readings import read_ratio, read_value
from mesascope.cruxes.source import Fields, Source, describe
from mesascope.errors import pick_named, require

RUNGS = ("inert", "reactive", "tracking", "locating", "acquiring", "general")


@dataclass
class DefinedNames:
    """The names that the entries read so far define; the loader adds names as it reads each table."""

    source: Source
    atoms: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, Event] = field(default_factory=dict)
    people: dict[str, claims.Person] = field(default_factory=dict)
    claims: dict[str, claims.Claim] = field(default_factory=dict)

    def pick_person(self, name: str) -> str:
        """Return the name if the file has such a person; otherwise raise `MesascopeError`."""
        return pick_named("person", name, self.people)

    def event(self, fields: Fields, key: str, required: bool = True) -> Event:
        """Parse an event field over the atoms and definitions read so far, and expand the definitions."""
        return fields.event(key, self.atoms, self.definitions, required)

    def read_each(self, table: str, read: Callable[[str, object], Any]) -> dict[str, Any]:
        """Read every entry of a table, by name; an error names the entry and its line."""
        entries = {}
        for key, value in self.source.table(table).items():
            with self.source.at(table, key):
                entries[key] = read(key, value)
        return entries


def require_possible(condition: Event) -> None:
    """Raise `MesascopeError` if a condition cannot happen; a condition of more than 16 atoms is not checked."""
    atoms = sorted(condition.atoms)
    if atoms and len(atoms) <= 16:
        can_hold = bool(condition.holds(enumerate_worlds(atoms)).any())
        require(
            can_hold, f"The condition {str(condition)[:80]!r} is impossible.", "Condition on something that can happen."
        )


def read_refusals(names: DefinedNames) -> tuple[claims.Refusal, ...]:
    """Read all refusals, and check that the person and claims exist."""
    refusals = []
    for i, table in enumerate(names.source.entries("refusals")):
        with names.source.at("refusals", str(i)):
            fields = Fields(table, ("by", "of", "reason", "instead"))
            of = fields.texts("of", needed='Name the refused claims: of = ["d1"].')
            instead = fields.text("instead")
            for name in (*of, *([instead] if instead else [])):
                pick_named("claim", name, names.claims)
            by = names.pick_person(fields.text("by", required=True))
            require(
                not instead or by in names.claims[instead].by,
                f"{instead!r} is not a claim of {by!r}.",
                "Name a claim of the person who refuses.",
            )
            line = names.source.line("refusals", str(i))
            refusals.append(claims.Refusal(by, of, fields.text("reason", required=True), instead, line))
    return tuple(refusals)


def read_questions(names: DefinedNames) -> dict[str, claims.Question]:
    """Read all open questions, by id; a question marked as answered is an error."""
    questions: dict[str, claims.Question] = {}
    for i, table in enumerate(names.source.entries("questions")):
        with names.source.at("questions", str(i)):
            fields = Fields(table, ("id", "by", "to", "about", "via", "text", "answered"))
            key = fields.text("id", required=True)
            require(key not in questions, f"There are two questions {key!r}.", "Give each question its own id.")
            require(
                not fields.flag("answered"), "This question is marked as answered.", "Write the answer in [claims]."
            )
            questions[key] = claims.Question(
                key,
                names.pick_person(fields.text("by", required=True)),
                names.pick_person(fields.text("to", required=True)),
                names.event(fields, "about"),
                names.event(fields, "via"),
                fields.text("text"),
                names.source.line("questions", str(i)),
            )
    return questions


def read_bridge(names: DefinedNames, key: str, table: object) -> claims.Bridge:
    """Read one bridge, whose id must not be the id of a claim."""
    require(key not in names.claims, f"{key!r} is a claim already.", "A bridge is never a claim: rename it.")
    fields = Fields(table, ("for", "rule", "optional", "independent"))
    people = fields.texts("for", needed='Name the person it is for: for = "ann".')
    for name in people:
        names.pick_person(name)
    groups = fields.groups("independent", "atom", names.atoms, '[["S", "G"]]')
    return claims.Bridge(
        key, people, names.event(fields, "rule"), fields.flag("optional"), groups, names.source.line("bridges", key)
    )


def read_query(names: DefinedNames) -> claims.Query | None:
    """Read the query; None if the file has no query."""
    if "query" not in names.source.data:
        return None
    with names.source.at("query"):
        fields = Fields(names.source.data["query"], ("target", "compare", "given"))
        compare = tuple(names.pick_person(name) for name in fields.texts("compare"))
        by_person = fields.inner("given")
        conditions = {names.pick_person(name): names.event(by_person, name) for name in by_person.table}
        for condition in conditions.values():
            require_possible(condition)
        return claims.Query(names.event(fields, "target"), compare, conditions, fields.text("target"))


def read_cut(names: DefinedNames, key: str, table: object) -> claims.Cut:
    """Read one cut of the gap, with its parts and what it assumes for each person."""
    fields = Fields(table, ("text", "target", "given", "form", "parts", "assume", "groups", "why"))
    pieces = fields.inner("parts")
    parts = {name: names.event(pieces, name) for name in pieces.table}
    require(bool(parts), "The field 'parts' is missing.", 'Write parts = { a = "T", b = "C & L" }.')
    require(len(parts) <= 15, f"There are {len(parts)} parts.", "At most 15 are possible; merge some of them.")
    assume: dict[str, dict[str, str]] = {}
    for person, values in fields.nested("assume").items():
        names.pick_person(person)
        inner = Fields(values, parts)
        assume[person] = {name: inner.text(name, required=True) for name in inner.table}
        for value in assume[person].values():
            require(
                value == "rest" or read_value(value).centre is not None,
                f"{value!r} is not a single number.",
                'Assume a point such as "90%", or "rest".',
            )
        require(list(assume[person].values()).count("rest") <= 1, "Two parts are 'rest'.", "Only one can be.")
    groups = fields.groups("groups", "part", parts, '[["a", "b"]]')
    condition = names.event(fields, "given", required=False)
    return claims.Cut(
        key,
        fields.text("text"),
        names.event(fields, "target"),
        condition,
        fields.choice("form", ("product", "complement"), "product"),
        parts,
        assume,
        groups,
        fields.text("why"),
        names.source.line("cuts", key),
    )


def read_bottom(names: DefinedNames, bridges: dict[str, claims.Bridge], key: str, table: object) -> claims.BottomLine:
    """Read how a comparison should read one person's bottom line."""
    names.pick_person(key)
    fields = Fields(table, ("bridges", "reflective", "at"))
    for name in fields.texts("bridges"):
        pick_named("bridge", name, bridges)
    return claims.BottomLine(
        fields.texts("bridges"), fields.flag("reflective"), fields.choice("at", ("low", "middle", "high"), "middle")
    )


def read_filing(names: DefinedNames, cuts: dict[str, claims.Cut], key: str, table: object) -> claims.Filing:
    """Read one remark, with the parts of a cut that it may cover."""
    fields = Fields(table, ("text", "claim", "cut", "options"))
    cut, claim = fields.text("cut", required=True), fields.text("claim")
    pick_named("cut", cut, cuts)
    if claim:
        pick_named("claim", claim, names.claims)
    choices = fields.inner("options")
    options = {label: choices.texts(label) for label in choices.table}
    for part in (part for parts in options.values() for part in parts):
        pick_named("part", part, cuts[cut].parts)
    return claims.Filing(key, fields.text("text"), claim, cut, options)


def read_evidence(names: DefinedNames, key: str, table: object) -> claims.Evidence:
    """Read one evidence item, with each person's likelihood ratios or hypotheses."""
    fields = Fields(table, ("text", "about", "lr", "lr_against", "hypotheses", "counts"))
    ratios = {names.pick_person(person): read_ratio(x) for person, x in fields.nested("lr").items()}
    against = {names.pick_person(person): read_ratio(x) for person, x in fields.nested("lr_against").items()}
    hypotheses = {}
    for person, rates in fields.nested("hypotheses").items():
        inner = Fields(rates, ("if_true", "if_false"))
        hypotheses[names.pick_person(person)] = tuple(_read_beta(inner, side) for side in ("if_true", "if_false"))
    stated = {person: str(x) for person, x in fields.nested("lr").items()}
    return claims.Evidence(
        key,
        fields.text("text"),
        names.event(fields, "about"),
        ratios,
        against,
        hypotheses,
        stated,
        fields.flag("counts") or bool(hypotheses),
        names.source.line("evidence", key),
    )


def read_measure(names: DefinedNames, evidence: dict[str, claims.Evidence], key: str, table: object) -> claims.Measure:
    """Read one rule that counts findings as k of n for an evidence item."""
    fields = Fields(table, ("feeds", "placement", "metric", "above", "counts", "undetermined", "measured", "claimed"))
    feeds = fields.text("feeds", required=True)
    pick_named("evidence", feeds, evidence)
    placement, metric = fields.text("placement"), fields.text("metric")
    require(
        bool(placement) != bool(metric),
        "A measure reads either a placement or a metric.",
        'Write placement = "acquiring", or metric = "…" and above = 0.05.',
    )
    if placement:
        pick_named("rung", placement, RUNGS)
    require(not metric or "above" in fields.table, "The field 'above' is missing.", "Add above = 0.05.")
    return claims.Measure(
        key,
        feeds,
        placement,
        metric,
        fields.number("above", 0.0),
        fields.choice("counts", ("subject", "fingerprint"), "fingerprint"),
        fields.choice("undetermined", ("leave out", "count as not"), "leave out"),
        fields.text("measured", required=True),
        fields.text("claimed", required=True),
        names.source.line("measures", key),
    )


def _read_beta(fields: Fields, key: str) -> tuple[float, float]:
    value = fields.table.get(key)
    is_beta = (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(x, int | float) and not isinstance(x, bool) and 0 < x < 1e9 for x in value)
    )
    require(is_beta, f"{key!r} is {describe(value)}, not two positive numbers.", f"Write {key} = [8, 2], for a Beta.")
    assert isinstance(value, list)
    return float(value[0]), float(value[1])
