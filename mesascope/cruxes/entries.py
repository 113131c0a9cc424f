"""Entries about claims: refusals, questions, bridges, the query, cuts, evidence, measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mesascope.cruxes.claims import (
    Bottom,
    Bridge,
    Claim,
    Cut,
    Evidence,
    Filing,
    Measure,
    Person,
    Query,
    Question,
    Refusal,
)
from mesascope.cruxes.language import Event, enumerate_worlds
from mesascope.cruxes.readings import read_ratio, read_value
from mesascope.cruxes.source import Fields, Source, describe, require
from mesascope.errors import unknown

RUNGS = ("inert", "reactive", "tracking", "locating", "acquiring", "general")


@dataclass
class Names:
    """What the entries read so far have named; filled in the order of the file's tables."""

    source: Source
    atoms: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, Event] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)

    def known_person(self, name: str) -> str:
        """The name itself, if there is such a person."""
        if name not in self.people:
            raise unknown("person", name, self.people)
        return name

    def event(self, fields: Fields, key: str, needed: bool = True) -> Event:
        """An event field over the known atoms and definitions, definitions expanded."""
        return fields.event(key, self.atoms, self.definitions, needed)

    def each(self, table: str, read: Callable[[str, object], Any]) -> dict[str, Any]:
        """Every entry of a table by its name; errors name the entry and its line."""
        found = {}
        for key, value in self.source.table(table).items():
            with self.source.at(table, key):
                found[key] = read(key, value)
        return found


def require_possible(given: Event) -> None:
    """Raise `MesascopeError` where a condition holds in no world (looked at for up to 16 atoms)."""
    atoms = sorted(given.atoms())
    if atoms and len(atoms) <= 16:
        possible = bool(given.holds(enumerate_worlds(atoms)).any())
        require(
            possible,
            f"The condition {str(given)[:80]!r} is impossible.",
            "Condition on something that can happen.",
        )


def read_refusals(names: Names) -> tuple[Refusal, ...]:
    """All refusals."""
    found = []
    for i, table in enumerate(names.source.entries("refusals")):
        with names.source.at("refusals", str(i)):
            fields = Fields(table, ("by", "of", "reason", "instead"))
            of, instead = fields.texts("of"), fields.text("instead")
            require(bool(of), "The field 'of' is missing.", 'Name the refused claims: of = ["d1"].')
            for name in (*of, *([instead] if instead else [])):
                if name not in names.claims:
                    raise unknown("claim", name, names.claims)
            by = names.known_person(fields.text("by", needed=True))
            require(
                not instead or by in names.claims[instead].by,
                f"{instead!r} is not a claim of {by!r}.",
                "A replacement is a claim of the one who refuses.",
            )
            line = names.source.line("refusals", str(i))
            found.append(Refusal(by, of, fields.text("reason", needed=True), instead, line))
    return tuple(found)


def read_questions(names: Names) -> dict[str, Question]:
    """All open questions, by id."""
    found: dict[str, Question] = {}
    for i, table in enumerate(names.source.entries("questions")):
        with names.source.at("questions", str(i)):
            fields = Fields(table, ("id", "by", "to", "about", "via", "text", "answered"))
            key = fields.text("id", needed=True)
            require(key not in found, f"There are two questions {key!r}.", "Give each its own id.")
            require(
                not fields.flag("answered"),
                "An answered question is a claim.",
                "Write the answer in [claims].",
            )
            found[key] = Question(
                key,
                names.known_person(fields.text("by", needed=True)),
                names.known_person(fields.text("to", needed=True)),
                names.event(fields, "about"),
                names.event(fields, "via"),
                fields.text("text"),
                names.source.line("questions", str(i)),
            )
    return found


def read_bridge(names: Names, key: str, table: object) -> Bridge:
    """One bridge of the modeller."""
    require(key not in names.claims, f"{key!r} is a claim already.", "A bridge is never a claim: rename it.")
    fields = Fields(table, ("for", "rule", "optional", "independent"))
    people = tuple(names.known_person(name) for name in fields.texts("for"))
    require(bool(people), "The field 'for' is missing.", 'Say whose claims it joins: for = "ann".')
    groups = fields.table.get("independent", [])
    require(
        isinstance(groups, list)
        and all(isinstance(g, list) and all(isinstance(a, str) for a in g) for g in groups),
        f"'independent' is {describe(groups)}.",
        'Write independent = [["S", "G"]].',
    )
    for name in (name for group in groups for name in group):
        if name not in names.atoms:
            raise unknown("atom", name, names.atoms)
    return Bridge(
        key,
        people,
        names.event(fields, "rule"),
        fields.flag("optional"),
        tuple(tuple(group) for group in groups),
        names.source.line("bridges", key),
    )


def read_query(names: Names) -> Query | None:
    """The query, if the file has one."""
    if "query" not in names.source.data:
        return None
    with names.source.at("query"):
        fields = Fields(names.source.data["query"], ("target", "compare", "given"))
        compare = tuple(names.known_person(name) for name in fields.texts("compare"))
        given = {}
        for person in fields.nested("given"):
            given[names.known_person(person)] = names.event(
                Fields(fields.nested("given"), names.people), person
            )
            require_possible(given[person])
        return Query(names.event(fields, "target"), compare, given, fields.text("target"))


def read_cut(names: Names, key: str, table: object) -> Cut:
    """One cut of the gap."""
    fields = Fields(table, ("text", "target", "given", "form", "parts", "assume", "groups", "why"))
    parts = {
        name: names.event(Fields(fields.nested("parts"), fields.nested("parts")), name)
        for name in fields.nested("parts")
    }
    require(bool(parts), "The field 'parts' is missing.", 'Write parts = { a = "T", b = "C & L" }.')
    require(len(parts) <= 15, f"There are {len(parts)} parts.", "At most 15; put some together.")
    assume: dict[str, dict[str, str]] = {}
    for person, values in fields.nested("assume").items():
        names.known_person(person)
        inner = Fields(values, parts)
        assume[person] = {name: inner.text(name, needed=True) for name in inner.table}
        for value in assume[person].values():
            require(
                value == "rest" or read_value(value).centre is not None,
                f"{value!r} is no single number.",
                'Assume a point such as "90%", or "rest".',
            )
        require(list(assume[person].values()).count("rest") <= 1, "Two parts are 'rest'.", "One can be.")
    groups = fields.table.get("groups", [])
    require(
        isinstance(groups, list)
        and all(isinstance(g, list) for g in groups)
        and all(isinstance(name, str) and name in parts for group in groups for name in group),
        "'groups' must list parts.",
        'Write groups = [["a", "b"]].',
    )
    given = names.event(fields, "given", needed=False)
    return Cut(
        key,
        fields.text("text"),
        names.event(fields, "target"),
        given,
        fields.choice("form", ("product", "complement"), "product"),
        parts,
        assume,
        tuple(tuple(group) for group in groups),
        fields.text("why"),
        names.source.line("cuts", key),
    )


def read_bottom(names: Names, bridges: dict[str, Bridge], key: str, table: object) -> Bottom:
    """At which line one person is read in a comparison."""
    names.known_person(key)
    fields = Fields(table, ("bridges", "reflective", "at"))
    for name in fields.texts("bridges"):
        if name not in bridges:
            raise unknown("bridge", name, bridges)
    return Bottom(
        fields.texts("bridges"),
        fields.flag("reflective"),
        fields.choice("at", ("low", "middle", "high"), "middle"),
    )


def read_filing(names: Names, cuts: dict[str, Cut], key: str, table: object) -> Filing:
    """One filing of parts under a remark."""
    fields = Fields(table, ("text", "claim", "cut", "options"))
    cut, claim = fields.text("cut", needed=True), fields.text("claim")
    if cut not in cuts:
        raise unknown("cut", cut, cuts)
    if claim and claim not in names.claims:
        raise unknown("claim", claim, names.claims)
    options = {}
    for label in fields.nested("options"):
        options[label] = Fields(fields.nested("options"), fields.nested("options")).texts(label)
        for part in options[label]:
            if part not in cuts[cut].parts:
                raise unknown("part", part, cuts[cut].parts)
    return Filing(key, fields.text("text"), claim, cut, options)


def read_evidence(names: Names, key: str, table: object) -> Evidence:
    """One evidence item."""
    fields = Fields(table, ("text", "about", "lr", "lr_against", "hypotheses", "counts"))
    ratios = {names.known_person(who): read_ratio(x) for who, x in fields.nested("lr").items()}
    against = {names.known_person(who): read_ratio(x) for who, x in fields.nested("lr_against").items()}
    hypotheses = {}
    for who, both in fields.nested("hypotheses").items():
        inner = Fields(both, ("if_true", "if_false"))
        hypotheses[names.known_person(who)] = tuple(
            _read_beta(inner, side) for side in ("if_true", "if_false")
        )
    stated = {who: str(x) for who, x in fields.nested("lr").items()}
    return Evidence(
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


def read_measure(names: Names, evidence: dict[str, Evidence], key: str, table: object) -> Measure:
    """One rule from findings to an evidence item."""
    fields = Fields(
        table, ("feeds", "placement", "metric", "above", "counts", "undetermined", "measured", "claimed")
    )
    feeds = fields.text("feeds", needed=True)
    if feeds not in evidence:
        raise unknown("evidence", feeds, evidence)
    placement, metric = fields.text("placement"), fields.text("metric")
    require(
        bool(placement) != bool(metric),
        "A measure reads either a placement or a metric.",
        'Write placement = "acquiring", or metric = "…" and above = 0.05.',
    )
    if placement and placement not in RUNGS:
        raise unknown("rung", placement, RUNGS)
    require(not metric or "above" in fields.table, "The field 'above' is missing.", "Add above = 0.05.")
    return Measure(
        key,
        feeds,
        placement,
        metric,
        fields.number("above", 0.0),
        fields.choice("counts", ("subject", "fingerprint"), "fingerprint"),
        fields.choice("undetermined", ("leave out", "count as not"), "leave out"),
        fields.text("measured", needed=True),
        fields.text("claimed", needed=True),
        names.source.line("measures", key),
    )


def _read_beta(fields: Fields, key: str) -> tuple[float, float]:
    value = fields.table.get(key)
    good = (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(x, int | float) and not isinstance(x, bool) and 0 < x < 1e9 for x in value)
    )
    require(
        good, f"{key!r} is {describe(value)}, not two positive numbers.", f"Write {key} = [8, 2], a Beta."
    )
    assert isinstance(value, list)
    return float(value[0]), float(value[1])
