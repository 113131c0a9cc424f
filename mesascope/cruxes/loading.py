"""A crux file, checked entry by entry, as frozen claims; every error names the entry and its line."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mesascope.cruxes.claims import (
    KINDS,
    NUMERIC,
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
    Wording,
)
from mesascope.cruxes.entries import (
    Names,
    read_bottom,
    read_bridge,
    read_cut,
    read_evidence,
    read_filing,
    read_measure,
    read_query,
    read_questions,
    read_refusals,
    require_possible,
)
from mesascope.cruxes.language import Event, parse, require_known
from mesascope.cruxes.readings import MODES, SCALES, Reading, read_value
from mesascope.cruxes.source import Fields, Source, describe, require
from mesascope.errors import MesascopeError, unknown

FORMAT = "mesascope-crux/1"
TABLES = (
    "format",
    "title",
    "source",
    "query",
    "atoms",
    "defs",
    "people",
    "groups",
    "claims",
    "refusals",
    "questions",
    "bridges",
    "cuts",
    "bottom",
    "filings",
    "evidence",
    "measures",
)


@dataclass(frozen=True)
class Conventions:
    """How the file is read; every field is an option and is stated in the output.

    Args:
        reading: 'centre', 'set' or 'beta'.
        words: scale for bare words: 'union', 'ipcc' or 'icd'.
        plus_minus: half-width of '~p' read as a set.
        reflective: whether the value that a person expects to hold on reflection replaces the one held now.
        bridges: optional bridges that are switched on.
        wordings: labels of alternative wordings that are chosen.
    """

    reading: str = "centre"
    words: str = "union"
    plus_minus: float = 0.05
    reflective: bool = False
    bridges: tuple[str, ...] = ()
    wordings: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `MesascopeError` for an unknown mode, scale or an unusable width."""
        if self.reading not in MODES:
            raise unknown("reading", self.reading, MODES)
        if self.words not in ("union", *SCALES):
            raise unknown("scale of words", self.words, ("union", *SCALES))
        require(
            0 <= self.plus_minus <= 0.5,
            f"A half-width of {self.plus_minus} is not between 0 and 0.5.",
            "Example: --plus-minus 0.05.",
        )


@dataclass(frozen=True)
class Content:
    """All entries of one file."""

    title: str
    origin: str
    name: str
    query: Query | None
    atoms: dict[str, str]
    definitions: dict[str, Event]
    written: dict[str, str]
    people: dict[str, Person]
    groups: dict[str, str]
    claims: dict[str, Claim]
    refusals: tuple[Refusal, ...]
    questions: dict[str, Question]
    bridges: dict[str, Bridge]
    cuts: dict[str, Cut]
    bottom: dict[str, Bottom]
    filings: dict[str, Filing]
    evidence: dict[str, Evidence]
    measures: dict[str, Measure]
    conventions: Conventions = field(default_factory=Conventions)


def read_content(source: Source, conventions: Conventions) -> Content:
    """Check a whole file.

    Args:
        source: the parsed TOML.
        conventions: how values are read.

    Returns its `Content`; the first mistake raises `MesascopeError` with the entry and line.
    """
    conventions.check()
    return _Loader(source, conventions).content()


class _Loader:
    def __init__(self, source: Source, conventions: Conventions):
        self.source, self.conventions, self.names = source, conventions, Names(source)

    def content(self) -> Content:
        source, at = self.source, self.source.at
        for key in source.data:
            if key not in TABLES:
                with at(key):
                    raise unknown("table", str(key)[:80], TABLES)
        with at("format"):
            require(
                source.data.get("format") == FORMAT,
                f"The format is {describe(source.data['format'])}."
                if "format" in source.data
                else "No format is named.",
                f'Write format = "{FORMAT}" in the first line.',
            )
        top = Fields({k: v for k, v in source.data.items() if k in ("title", "source")}, TABLES)
        with at("title"):
            title = top.text("title", default="untitled")
        with at("source"):
            origin = top.text("source")
        self.names.atoms = self.named_texts("atoms")
        with at("atoms"):
            require(bool(self.names.atoms), "There are no atoms.", 'Write [atoms] and P = "what P says".')
        self.names.definitions, written = self.read_definitions()
        self.read_people()
        groups = self.named_texts("groups")
        for key, value in source.table("claims").items():
            with at("claims", key):
                self.names.claims[key] = self.read_claim(key, value)
        self.check_references()
        names = self.names
        bridges = names.each("bridges", partial(read_bridge, names))
        for name in self.conventions.bridges:
            if name not in bridges:
                raise unknown("bridge", name, bridges)
        labels = {label for claim in self.names.claims.values() for label in claim.wordings}
        for label in self.conventions.wordings:
            if label not in labels:
                raise unknown("wording", label, labels)
        cuts = names.each("cuts", partial(read_cut, names))
        evidence = names.each("evidence", partial(read_evidence, names))
        return Content(
            title,
            origin,
            source.name,
            read_query(names),
            names.atoms,
            names.definitions,
            written,
            names.people,
            groups,
            names.claims,
            read_refusals(names),
            read_questions(names),
            bridges,
            cuts,
            names.each("bottom", partial(read_bottom, names, bridges)),
            names.each("filings", partial(read_filing, names, cuts)),
            evidence,
            names.each("measures", partial(read_measure, names, evidence)),
            self.conventions,
        )

    def named_texts(self, name: str) -> dict[str, str]:
        table = self.source.table(name)
        for key in table:
            with self.source.at(name, key):
                Fields(table, table).text(key, needed=True)
        return dict(table)

    def read_definitions(self) -> tuple[dict[str, Event], dict[str, str]]:
        table, done = self.source.table("defs"), {}
        raw: dict[str, Event] = {}
        for key, value in table.items():
            with self.source.at("defs", key):
                require(key not in self.names.atoms, f"{key!r} is an atom already.", "Rename the definition.")
                raw[key] = require_known(parse(value), {*self.names.atoms, *table})
        pending = dict(raw)
        while pending:
            ready = [key for key, event in pending.items() if not event.atoms() & pending.keys()]
            if not ready:
                key = min(pending)
                with self.source.at("defs", key):
                    raise MesascopeError(
                        f"The definitions {', '.join(sorted(pending))} go round in a circle.",
                        "Define each one by atoms or by definitions that stand alone.",
                    )
            for key in ready:
                with self.source.at("defs", key):
                    done[key] = pending.pop(key).expand(done)
        return done, {key: str(event) for key, event in raw.items()}

    def read_people(self) -> None:
        names: dict[str, str] = {}
        for key, value in self.source.table("people").items():
            with self.source.at("people", key):
                require(
                    key != "unknown", "'unknown' stands for an unidentified speaker.", "Choose another id."
                )
                fields = Fields(value, ("name", "attribution", "scope"))
                name = fields.text("name", needed=True)
                if name in names:
                    raise MesascopeError(
                        f"{name!r} is also the name of {names[name]!r}.", "Name each person once."
                    )
                names[name] = key
                attribution = fields.choice("attribution", ("inferred", "endorsed"), "inferred")
                line = self.source.line("people", key)
                self.names.people[key] = Person(key, name, attribution, fields.texts("scope"), line)
        with self.source.at("people"):
            require(
                bool(self.names.people), "There are no people.", 'Write [people] and ann = { name = "Ann" }.'
            )

    def read_claim(self, key: str, table: object) -> Claim:
        fields = Fields(
            table,
            (
                "by",
                "kind",
                "event",
                "given",
                "value",
                "reflective",
                "verbal",
                "hedge",
                "text",
                "within",
                "mass",
                "readings",
                "used",
                "of",
                "population",
                "about",
                "given_text",
                "direction",
                "phrase",
                "events",
                "of_group",
                "denied_by",
            ),
        )
        by = fields.texts("by")
        require(bool(by), "The field 'by' is missing.", 'Add by = "…", one of the people.')
        for name in by:
            if name != "unknown":
                self.names.known_person(name)
        kind = fields.choice("kind", KINDS, "prob")
        common: dict[str, Any] = {
            "id": key,
            "by": by,
            "kind": kind,
            "line": self.source.line("claims", key),
            "text": fields.text("text"),
            "verbal": fields.text("verbal"),
            "hedge": fields.text("hedge"),
            "used": fields.flag("used", True),
            "about": fields.texts("about"),
            "phrase": fields.text("phrase"),
            "denied_by": fields.text("denied_by"),
            "of": fields.text("of"),
            "population": fields.text("population"),
        }
        if kind in NUMERIC:
            require(len(by) == 1, "A number is stated by one person.", "Write one claim per person.")
            event, given = self.names.event(fields, "event"), self.names.event(fields, "given", needed=False)
            require_possible(given)
            wordings = {}
            for label, change in fields.nested("readings").items():
                other = Fields(change, ("event", "given", "value"))
                require(
                    label.isprintable() and bool(label.strip()), "A reading has no usable label.", "Name it."
                )
                wordings[label] = Wording(
                    self.names.event(other, "event") if "event" in other.table else event,
                    self.names.event(other, "given") if "given" in other.table else given,
                    self.value(other if "value" in other.table else fields, "value"),
                )
                require_possible(wordings[label].given)
            reflective = self.value(fields, "reflective") if "reflective" in fields.table else None
            return Claim(
                event=event,
                given=given,
                value=self.value(fields, "value"),
                reflective=reflective,
                wordings=wordings,
                written=fields.text("event"),
                **common,
            )
        if kind == "fraction":
            require(
                bool(common["of"]), "The field 'of' is missing.", 'Say whose share: of = "researchers who …".'
            )
            return Claim(value=self.value(fields, "value"), **common)
        for unfit in ("value", "given", "reflective", "readings"):
            require(
                unfit not in fields.table, f"A claim of kind {kind!r} has no field {unfit!r}.", "Remove it."
            )
        events = tuple(
            require_known(parse(e), {*self.names.atoms, *self.names.definitions}).expand(
                self.names.definitions
            )
            for e in fields.texts("events")
        )
        event = self.names.event(fields, "event") if "event" in fields.table else None
        require(
            kind != "ambiguity" or len(events) > 1,
            "An ambiguity needs at least two events.",
            'events = ["A", "B"].',
        )
        return Claim(event=event, events=events, **common)

    def value(self, fields: Fields, key: str) -> Reading:
        require(key in fields.table, f"The field {key!r} is missing.", f'Add {key} = "~85%".')
        require(
            isinstance(fields.table[key], str),
            f"The field {key!r} is {describe(fields.table[key])}, not quoted text.",
            f'Write it as it was said, quoted: {key} = "~85%".',
        )
        mass = fields.number("mass", 0.9) if "mass" in fields.table else None
        return read_value(
            fields.table[key],
            self.conventions.words,
            self.conventions.plus_minus,
            mass,
            fields.text("within", default="vacuous"),
        )

    def check_references(self) -> None:
        for claim in self.names.claims.values():
            with self.source.at("claims", claim.id):
                for other in claim.about:
                    if other not in self.names.claims:
                        raise unknown("claim", other, self.names.claims)
