"""Reads a crux file into frozen entries; every error names the entry and its line."""

from dataclasses import fields
from functools import partial
from typing import Any

from mesascope.cruxes import entries
from mesascope.cruxes.claims import CLAIM_KINDS, NUMERIC_KINDS, Claim, Content, Conventions, Person, Wording
from mesascope.cruxes.language import Event, parse, require_known_atoms
from mesascope.cruxes.lines import ENTRIES, LISTED, TOP_FIELDS
from mesascope.cruxes.readings import Reading, read_value
from mesascope.cruxes.source import Fields, Source, describe
from mesascope.errors import MesascopeError, pick_named, require

FORMAT = "mesascope-crux/1"
TABLES = (*TOP_FIELDS, "atoms", "groups", *ENTRIES, *LISTED)
CLAIM_FIELDS = {field.name for field in fields(Claim)} - {"id", "line", "wordings", "written"}
CLAIM_FIELDS |= {"within", "mass", "readings", "given_text", "direction", "of_group"}


def read_content(source: Source, conventions: Conventions) -> Content:
    """Read and check all entries of a file.

    Args:
        source: the parsed TOML.
        conventions: how to read values.

    Returns the file's `Content`; the first mistake raises `MesascopeError`, which names the entry and line.
    """
    conventions.check()
    return _Loader(source, conventions).read_content()


class _Loader:
    def __init__(self, source: Source, conventions: Conventions):
        self.source, self.conventions, self.names = source, conventions, entries.DefinedNames(source)

    def read_content(self) -> Content:
        source, at = self.source, self.source.at
        for key in source.data:
            with at(key):
                pick_named("table", str(key)[:80], TABLES)
        with at("format"):
            require(
                source.data.get("format") == FORMAT,
                f"The format is {describe(source.data['format'])}."
                if "format" in source.data
                else "The field 'format' is missing.",
                f'Write format = "{FORMAT}" in the first line.',
            )
        top = Fields({k: v for k, v in source.data.items() if k in ("title", "source")}, TABLES)
        with at("title"):
            title = top.text("title", default="untitled")
        with at("source"):
            origin = top.text("source")
        self.names.atoms = self.read_texts("atoms")
        with at("atoms"):
            require(bool(self.names.atoms), "There are no atoms.", 'Write [atoms] and P = "the meaning of P".')
        self.names.definitions, written = self.read_definitions()
        self.read_people()
        groups = self.read_texts("groups")
        for key, value in source.table("claims").items():
            with at("claims", key):
                self.names.claims[key] = self.read_claim(key, value)
        self.check_references()
        names = self.names
        bridges = names.read_each("bridges", partial(entries.read_bridge, names))
        for name in self.conventions.bridges:
            pick_named("bridge", name, bridges)
        labels = {label for claim in self.names.claims.values() for label in claim.wordings}
        for label in self.conventions.wordings:
            pick_named("wording", label, labels)
        cuts = names.read_each("cuts", partial(entries.read_cut, names))
        evidence = names.read_each("evidence", partial(entries.read_evidence, names))
        return Content(
            title,
            origin,
            source.name,
            entries.read_query(names),
            names.atoms,
            names.definitions,
            written,
            names.people,
            groups,
            names.claims,
            entries.read_refusals(names),
            entries.read_questions(names),
            bridges,
            cuts,
            names.read_each("bottom", partial(entries.read_bottom, names, bridges)),
            names.read_each("filings", partial(entries.read_filing, names, cuts)),
            evidence,
            names.read_each("measures", partial(entries.read_measure, names, evidence)),
            self.conventions,
        )

    def read_texts(self, name: str) -> dict[str, str]:
        table = self.source.table(name)
        for key in table:
            with self.source.at(name, key):
                Fields(table, table).text(key, required=True)
        return dict(table)

    def read_definitions(self) -> tuple[dict[str, Event], dict[str, str]]:
        table, done = self.source.table("defs"), {}
        unexpanded: dict[str, Event] = {}
        for key, value in table.items():
            with self.source.at("defs", key):
                require(key not in self.names.atoms, f"{key!r} is an atom already.", "Rename the definition.")
                unexpanded[key] = require_known_atoms(parse(value), {*self.names.atoms, *table})
        pending = dict(unexpanded)
        while pending:
            ready = [key for key, event in pending.items() if not event.atoms & pending.keys()]
            if not ready:
                key = min(pending)
                with self.source.at("defs", key):
                    raise MesascopeError(
                        f"The definitions {', '.join(sorted(pending))} form a cycle.",
                        "Define each of them by atoms, or by definitions outside the cycle.",
                    )
            for key in ready:
                with self.source.at("defs", key):
                    done[key] = pending.pop(key).expand(done)
        return done, {key: str(event) for key, event in unexpanded.items()}

    def read_people(self) -> None:
        names: dict[str, str] = {}
        for key, value in self.source.table("people").items():
            with self.source.at("people", key):
                require(key != "unknown", "'unknown' stands for an unidentified speaker.", "Choose another id.")
                fields = Fields(value, ("name", "attribution", "scope"))
                name = fields.text("name", required=True)
                if name in names:
                    raise MesascopeError(
                        f"{name!r} is also the name of {names[name]!r}.", "Give each person a different name."
                    )
                names[name] = key
                attribution = fields.choice("attribution", ("inferred", "endorsed"), "inferred")
                line = self.source.line("people", key)
                self.names.people[key] = Person(key, name, attribution, fields.texts("scope"), line)
        with self.source.at("people"):
            require(bool(self.names.people), "There are no people.", 'Write [people] and ann = { name = "Ann" }.')

    def read_claim(self, key: str, table: object) -> Claim:
        fields = Fields(table, CLAIM_FIELDS)
        by = fields.texts("by", needed='Add by = "…", one of the people.')
        for name in by:
            if name != "unknown":
                self.names.pick_person(name)
        kind = fields.choice("kind", CLAIM_KINDS, "prob")
        line = self.source.line("claims", key)
        common: dict[str, Any] = {"id": key, "by": by, "kind": kind, "line": line}
        common |= {"used": fields.flag("used", True), "about": fields.texts("about")}
        texts = ("text", "verbal", "hedge", "phrase", "denied_by", "of", "population")
        common |= {name: fields.text(name) for name in texts}
        if kind in NUMERIC_KINDS:
            require(len(by) == 1, "A number needs exactly one person.", "Write one claim per person.")
            event, condition = (self.names.event(fields, "event"), self.names.event(fields, "given", required=False))
            entries.require_possible(condition)
            wordings = {}
            for label, change in fields.nested("readings").items():
                other = Fields(change, ("event", "given", "value"))
                require(
                    label.isprintable() and bool(label.strip()),
                    "A reading has no usable label.",
                    "Give it a printable label.",
                )
                wordings[label] = Wording(
                    self.names.event(other, "event") if "event" in other.table else event,
                    self.names.event(other, "given") if "given" in other.table else condition,
                    self.read_claim_value(other if "value" in other.table else fields, "value"),
                )
                entries.require_possible(wordings[label].condition)
            reflective = self.read_claim_value(fields, "reflective") if "reflective" in fields.table else None
            return Claim(
                event=event,
                given=condition,
                value=self.read_claim_value(fields, "value"),
                reflective=reflective,
                wordings=wordings,
                written=fields.text("event"),
                **common,
            )
        if kind == "fraction":
            require(bool(common["of"]), "The field 'of' is missing.", 'Describe the share: of = "researchers who …".')
            return Claim(value=self.read_claim_value(fields, "value"), **common)
        for absent in ("value", "given", "reflective", "readings"):
            require(absent not in fields.table, f"A claim of kind {kind!r} has no field {absent!r}.", "Remove it.")
        names, definitions = {*self.names.atoms, *self.names.definitions}, self.names.definitions
        events = tuple(require_known_atoms(parse(e), names).expand(definitions) for e in fields.texts("events"))
        event = self.names.event(fields, "event") if "event" in fields.table else None
        require(
            kind != "ambiguity" or len(events) > 1,
            "An ambiguity needs at least two events.",
            'Write events = ["A", "B"].',
        )
        return Claim(event=event, events=events, **common)

    def read_claim_value(self, fields: Fields, key: str) -> Reading:
        stated = fields.require_field(key, f'Add {key} = "~85%".')
        problem = f"The field {key!r} is {describe(stated)}, not quoted text."
        require(isinstance(stated, str), problem, f'Quote the original words: {key} = "~85%".')
        mass = fields.number("mass", 0.9) if "mass" in fields.table else None
        within, conventions = fields.text("within", default="vacuous"), self.conventions
        return read_value(stated, conventions.words, conventions.plus_minus, mass, within)

    def check_references(self) -> None:
        for claim in self.names.claims.values():
            with self.source.at("claims", claim.id):
                for other in claim.about:
                    pick_named("claim", other, self.names.claims)
