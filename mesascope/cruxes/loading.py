"""A crux file, checked entry by entry, as frozen claims; every error names the entry and its line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mesascope.cruxes.claims import (
    KINDS,
    NUMERIC,
    Bottom,
    Bridge,
    Claim,
    Evidence,
    Filing,
    Measure,
    Person,
    Question,
    Refusal,
    Split,
    Wording,
)
from mesascope.cruxes.language import SURE, Event, enumerate_worlds, parse, require_known
from mesascope.cruxes.readings import MODES, SCALES, Reading, read_ratio, read_value
from mesascope.cruxes.source import Fields, Source, describe, require
from mesascope.errors import MesascopeError, unknown

FORMAT = "mesascope-crux/1"
TABLES = ("format", "title", "source", "query", "atoms", "defs", "people", "groups", "claims", "refusals",
          "questions", "bridges", "splits", "bottom", "filings", "evidence", "measures")
RUNGS = ("inert", "reactive", "tracking", "locating", "acquiring", "general")
MOST_ATOMS, MOST_CLAIMS = 400, 400


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
        require(0 <= self.plus_minus <= 0.5, f"A half-width of {self.plus_minus} is not between 0 and 0.5.",
                "Example: --plus-minus 0.05.")


@dataclass(frozen=True)
class Query:
    """What is asked by default: the target, the people compared, and what each one's target is given."""

    target: Event
    compare: tuple[str, ...]
    given: dict[str, Event]
    written: str = ""


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
    splits: dict[str, Split]
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
        self.source, self.conventions = source, conventions
        self.atoms: dict[str, str] = {}
        self.definitions: dict[str, Event] = {}
        self.people: dict[str, Person] = {}
        self.claims: dict[str, Claim] = {}

    def content(self) -> Content:
        source, at = self.source, self.source.at
        with at("the file", 1):
            for key in source.data:
                if key not in TABLES:
                    raise unknown("table", str(key)[:80], TABLES)
        with at("format", source.line("format")):
            require(source.data.get("format") == FORMAT, f"The format is {source.data.get('format')!r:.60}.",
                    f'Write format = "{FORMAT}" in the first line.')
        top = Fields({k: v for k, v in source.data.items() if k in ("title", "source")}, TABLES)
        with at("title", source.line("title")):
            title, origin = top.text("title", default="untitled"), top.text("source")
        self.atoms = self.named_texts("atoms")
        with at("[atoms]", source.line("atoms")):
            require(bool(self.atoms), "There are no atoms.", 'Write [atoms] and P = "what P says".')
            require(len(self.atoms) <= MOST_ATOMS, f"There are {len(self.atoms)} atoms.", f"At most {MOST_ATOMS}.")
        self.definitions, written = self.read_definitions()
        self.read_people()
        groups = self.named_texts("groups")
        with at("[claims]", source.line("claims")):
            require(len(source.table("claims")) <= MOST_CLAIMS, "There are too many claims.", f"At most {MOST_CLAIMS}.")
        for key, value in source.table("claims").items():
            with at(f"claim {key!r}", source.line("claims", key)):
                self.claims[key] = self.read_claim(key, value)
        self.check_references()
        bridges = self.each("bridges", self.read_bridge)
        for name in self.conventions.bridges:
            if name not in bridges:
                raise unknown("bridge", name, bridges)
        labels = {label for claim in self.claims.values() for label in claim.wordings}
        for label in self.conventions.wordings:
            if label not in labels:
                raise unknown("wording", label, labels)
        splits = self.each("splits", self.read_split)
        evidence = self.each("evidence", self.read_evidence)
        return Content(
            title, origin, source.name, self.read_query(), self.atoms, self.definitions, written, self.people, groups,
            self.claims, self.read_refusals(), self.read_questions(), bridges, splits,
            self.each("bottom", lambda key, table: self.read_bottom(key, table, bridges)),
            self.each("filings", lambda key, table: self.read_filing(key, table, splits)), evidence,
            self.each("measures", lambda key, table: self.read_measure(key, table, evidence)), self.conventions)

    def each(self, name: str, read: Any) -> dict[str, Any]:
        found = {}
        for key, value in self.source.table(name).items():
            line = self.source.line(name, key)
            with self.source.at(f"{name.rstrip('s')} {key!r}", line):
                found[key] = read(key, value)
        return found

    def named_texts(self, name: str) -> dict[str, str]:
        table = self.source.table(name)
        for key in table:
            with self.source.at(f"[{name}] {key!r}", self.source.line(name, key)):
                Fields(table, table).text(key, needed=True)
        return dict(table)

    def known_person(self, name: str) -> str:
        if name not in self.people:
            raise unknown("person", name, self.people)
        return name

    def event(self, fields: Fields, key: str, needed: bool = True) -> Event:
        return fields.event(key, self.atoms, self.definitions, needed)

    def read_definitions(self) -> tuple[dict[str, Event], dict[str, str]]:
        table, done = self.source.table("defs"), {}
        raw: dict[str, Event] = {}
        for key, value in table.items():
            with self.source.at(f"definition {key!r}", self.source.line("defs", key)):
                require(key not in self.atoms, f"{key!r} is an atom already.", "Rename the definition.")
                raw[key] = require_known(parse(value), {*self.atoms, *table})
        pending = dict(raw)
        while pending:
            ready = [key for key, event in pending.items() if not event.atoms() & pending.keys()]
            if not ready:
                key = min(pending)
                with self.source.at(f"definition {key!r}", self.source.line("defs", key)):
                    raise MesascopeError(f"The definitions {', '.join(sorted(pending))} go round in a circle.",
                                         "Define each one by atoms or by definitions that stand alone.")
            for key in ready:
                done[key] = pending.pop(key).expand(done)
                with self.source.at(f"definition {key!r}", self.source.line("defs", key)):
                    require(_size(done[key]) <= 5000, "Expanded, this definition is too large.", "Shorten it.")
        return done, {key: str(event) for key, event in raw.items()}

    def read_people(self) -> None:
        names: dict[str, str] = {}
        for key, value in self.source.table("people").items():
            line = self.source.line("people", key)
            with self.source.at(f"person {key!r}", line):
                require(key != "unknown", "'unknown' stands for an unidentified speaker.", "Choose another id.")
                fields = Fields(value, ("name", "attribution", "scope"))
                name = fields.text("name", needed=True)
                if name in names:
                    raise MesascopeError(f"{name!r} is also the name of {names[name]!r}.", "Name each person once.")
                names[name] = key
                attribution = fields.choice("attribution", ("inferred", "endorsed"), "inferred")
                self.people[key] = Person(key, name, attribution, fields.texts("scope"), line)
        with self.source.at("[people]", self.source.line("people")):
            require(bool(self.people), "There are no people.", 'Write [people] and ann = { name = "Ann" }.')

    def read_claim(self, key: str, table: object) -> Claim:
        fields = Fields(table, ("by", "kind", "event", "given", "value", "reflective", "verbal", "hedge", "text",
                                "within", "mass", "readings", "used", "of", "population", "about", "given_text",
                                "direction", "phrase", "events", "of_group", "denied_by"))
        by = fields.texts("by")
        require(bool(by), "The field 'by' is missing.", 'Add by = "…", one of the people.')
        for name in by:
            if name != "unknown":
                self.known_person(name)
        kind = fields.choice("kind", KINDS, "prob")
        common: dict[str, Any] = {
            "id": key, "by": by, "kind": kind, "line": self.source.line("claims", key), "text": fields.text("text"),
            "verbal": fields.text("verbal"), "hedge": fields.text("hedge"), "used": fields.flag("used", True),
            "about": fields.texts("about"), "phrase": fields.text("phrase"), "denied_by": fields.text("denied_by"),
            "of": fields.text("of"), "population": fields.text("population")}
        if kind in NUMERIC:
            require(len(by) == 1, "A number is stated by one person.", "Write one claim per person.")
            event, given = self.event(fields, "event"), self.event(fields, "given", needed=False)
            _require_possible(given)
            wordings = {}
            for label, change in fields.nested("readings").items():
                other = Fields(change, ("event", "given", "value"))
                require(label.isprintable() and bool(label.strip()), "A reading has no usable label.", "Name it.")
                wordings[label] = Wording(
                    self.event(other, "event") if "event" in other.table else event,
                    self.event(other, "given") if "given" in other.table else given,
                    self.value(other if "value" in other.table else fields, "value"))
                _require_possible(wordings[label].given)
            reflective = self.value(fields, "reflective") if "reflective" in fields.table else None
            return Claim(event=event, given=given, value=self.value(fields, "value"), reflective=reflective,
                         wordings=wordings, written=fields.text("event"), **common)
        if kind == "fraction":
            require(bool(common["of"]), "The field 'of' is missing.", 'Say whose share: of = "researchers who …".')
            return Claim(value=self.value(fields, "value"), **common)
        for unfit in ("value", "given", "reflective", "readings"):
            require(unfit not in fields.table, f"A claim of kind {kind!r} has no field {unfit!r}.", "Remove it.")
        events = tuple(require_known(parse(e), {*self.atoms, *self.definitions}).expand(self.definitions)
                       for e in fields.texts("events"))
        event = self.event(fields, "event") if "event" in fields.table else None
        require(kind != "ambiguity" or len(events) > 1, "An ambiguity needs at least two events.", 'events = ["A", "B"].')
        return Claim(event=event, events=events, **common)

    def value(self, fields: Fields, key: str) -> Reading:
        require(key in fields.table, f"The field {key!r} is missing.", f'Add {key} = "~85%".')
        mass = fields.number("mass", 0.9) if "mass" in fields.table else None
        return read_value(fields.table[key], self.conventions.words, self.conventions.plus_minus, mass,
                          fields.text("within", default="vacuous"))

    def check_references(self) -> None:
        for claim in self.claims.values():
            with self.source.at(f"claim {claim.id!r}", claim.line):
                for other in claim.about:
                    if other not in self.claims:
                        raise unknown("claim", other, self.claims)

    def read_refusals(self) -> tuple[Refusal, ...]:
        found = []
        for i, table in enumerate(self.source.entries("refusals")):
            line = self.source.line("refusals", str(i))
            with self.source.at(f"refusal {i + 1}", line):
                fields = Fields(table, ("by", "of", "reason", "instead"))
                of, instead = fields.texts("of"), fields.text("instead")
                require(bool(of), "The field 'of' is missing.", 'Name the refused claims: of = ["d1"].')
                for name in (*of, *([instead] if instead else [])):
                    if name not in self.claims:
                        raise unknown("claim", name, self.claims)
                by = self.known_person(fields.text("by", needed=True))
                require(not instead or by in self.claims[instead].by, f"{instead!r} is not a claim of {by!r}.",
                        "A replacement is a claim of the one who refuses.")
                found.append(Refusal(by, of, fields.text("reason", needed=True), instead, line))
        return tuple(found)

    def read_questions(self) -> dict[str, Question]:
        found: dict[str, Question] = {}
        for i, table in enumerate(self.source.entries("questions")):
            line = self.source.line("questions", str(i))
            with self.source.at(f"question {i + 1}", line):
                fields = Fields(table, ("id", "by", "to", "about", "via", "text", "answered"))
                key = fields.text("id", needed=True)
                require(key not in found, f"There are two questions {key!r}.", "Give each its own id.")
                require(not fields.flag("answered"), "An answered question is a claim.", "Write the answer in [claims].")
                found[key] = Question(key, self.known_person(fields.text("by", needed=True)),
                                      self.known_person(fields.text("to", needed=True)), self.event(fields, "about"),
                                      self.event(fields, "via"), fields.text("text"), line)
        return found

    def read_bridge(self, key: str, table: object) -> Bridge:
        require(key not in self.claims, f"{key!r} is a claim already.", "A bridge is never a claim: rename it.")
        fields = Fields(table, ("for", "rule", "optional", "independent"))
        people = tuple(self.known_person(name) for name in fields.texts("for"))
        require(bool(people), "The field 'for' is missing.", 'Say whose claims it joins: for = "ann".')
        groups = fields.table.get("independent", [])
        require(isinstance(groups, list) and all(isinstance(g, list) and all(isinstance(a, str) for a in g)
                                                 for g in groups),
                f"'independent' is {describe(groups)}.", 'Write independent = [["S", "G"]].')
        for name in (name for group in groups for name in group):
            if name not in self.atoms:
                raise unknown("atom", name, self.atoms)
        return Bridge(key, people, self.event(fields, "rule"), fields.flag("optional"),
                      tuple(tuple(group) for group in groups), self.source.line("bridges", key))

    def read_query(self) -> Query | None:
        if "query" not in self.source.data:
            return None
        line = self.source.line("query")
        with self.source.at("query", line):
            fields = Fields(self.source.data["query"], ("target", "compare", "given"))
            compare = tuple(self.known_person(name) for name in fields.texts("compare"))
            given = {}
            for person in fields.nested("given"):
                given[self.known_person(person)] = self.event(Fields(fields.nested("given"), self.people), person)
                _require_possible(given[person])
            return Query(self.event(fields, "target"), compare, given, fields.text("target"))

    def read_split(self, key: str, table: object) -> Split:
        fields = Fields(table, ("text", "target", "given", "form", "parts", "assume", "groups", "why"))
        parts = {name: self.event(Fields(fields.nested("parts"), fields.nested("parts")), name)
                 for name in fields.nested("parts")}
        require(bool(parts), "The field 'parts' is missing.", 'Write parts = { a = "T", b = "C & L" }.')
        require(len(parts) <= 15, f"There are {len(parts)} parts.", "At most 15; put some together.")
        assume: dict[str, dict[str, str]] = {}
        for person, values in fields.nested("assume").items():
            self.known_person(person)
            inner = Fields(values, parts)
            assume[person] = {name: inner.text(name, needed=True) for name in inner.table}
            for value in assume[person].values():
                require(value == "rest" or read_value(value).centre is not None,
                        f"{value!r} is no single number.", 'Assume a point such as "90%", or "rest".')
            require(list(assume[person].values()).count("rest") <= 1, "Two parts are 'rest'.", "One can be.")
        groups = fields.table.get("groups", [])
        require(isinstance(groups, list) and all(isinstance(g, list) for g in groups)
                and all(name in parts for group in groups for name in group),
                "'groups' must list parts.", 'Write groups = [["a", "b"]].')
        given = self.event(fields, "given", needed=False)
        return Split(key, fields.text("text"), self.event(fields, "target"), given,
                     fields.choice("form", ("product", "complement"), "product"), parts, assume,
                     tuple(tuple(group) for group in groups), fields.text("why"), self.source.line("splits", key))

    def read_bottom(self, key: str, table: object, bridges: dict[str, Bridge]) -> Bottom:
        self.known_person(key)
        fields = Fields(table, ("bridges", "reflective", "at"))
        for name in fields.texts("bridges"):
            if name not in bridges:
                raise unknown("bridge", name, bridges)
        return Bottom(fields.texts("bridges"), fields.flag("reflective"),
                      fields.choice("at", ("low", "middle", "high"), "middle"))

    def read_filing(self, key: str, table: object, splits: dict[str, Split]) -> Filing:
        fields = Fields(table, ("text", "claim", "split", "options"))
        split, claim = fields.text("split", needed=True), fields.text("claim")
        if split not in splits:
            raise unknown("split", split, splits)
        if claim and claim not in self.claims:
            raise unknown("claim", claim, self.claims)
        options = {}
        for label in fields.nested("options"):
            options[label] = Fields(fields.nested("options"), fields.nested("options")).texts(label)
            for part in options[label]:
                if part not in splits[split].parts:
                    raise unknown("part", part, splits[split].parts)
        return Filing(key, fields.text("text"), claim, split, options)

    def read_evidence(self, key: str, table: object) -> Evidence:
        fields = Fields(table, ("text", "about", "lr", "lr_against", "hypotheses", "counts"))
        ratios = {self.known_person(who): read_ratio(x) for who, x in fields.nested("lr").items()}
        against = {self.known_person(who): read_ratio(x) for who, x in fields.nested("lr_against").items()}
        hypotheses = {}
        for who, both in fields.nested("hypotheses").items():
            inner = Fields(both, ("if_true", "if_false"))
            hypotheses[self.known_person(who)] = tuple(_read_beta(inner, side) for side in ("if_true", "if_false"))
        stated = {who: str(x) for who, x in fields.nested("lr").items()}
        return Evidence(key, fields.text("text"), self.event(fields, "about"), ratios, against, hypotheses, stated,
                        fields.flag("counts") or bool(hypotheses), self.source.line("evidence", key))

    def read_measure(self, key: str, table: object, evidence: dict[str, Evidence]) -> Measure:
        fields = Fields(table, ("feeds", "placement", "probe", "above", "counts", "undetermined", "measured",
                                "claimed"))
        feeds = fields.text("feeds", needed=True)
        if feeds not in evidence:
            raise unknown("evidence", feeds, evidence)
        placement, probe = fields.text("placement"), fields.text("probe")
        require(bool(placement) != bool(probe), "A measure reads either a placement or a probe.",
                'Write placement = "acquiring", or probe = "…" and above = 0.05.')
        if placement and placement not in RUNGS:
            raise unknown("rung", placement, RUNGS)
        require(not probe or "above" in fields.table, "The field 'above' is missing.", "Add above = 0.05.")
        return Measure(key, feeds, placement, probe, fields.number("above", 0.0),
                       fields.choice("counts", ("subject", "fingerprint"), "fingerprint"),
                       fields.choice("undetermined", ("leave out", "count as not"), "leave out"),
                       fields.text("measured", needed=True), fields.text("claimed", needed=True),
                       self.source.line("measures", key))


def _size(event: Event) -> int:
    return 1 + sum(_size(part) for part in event.parts)


def _require_possible(given: Event) -> None:
    atoms = sorted(given.atoms())
    if atoms and len(atoms) <= 16:
        require(bool(given.holds(enumerate_worlds(atoms)).any()), f"The condition {str(given)[:80]!r} is impossible.",
                "Condition on something that can happen.")


def _read_beta(fields: Fields, key: str) -> tuple[float, float]:
    value = fields.table.get(key)
    good = isinstance(value, list) and len(value) == 2 and all(
        isinstance(x, int | float) and not isinstance(x, bool) and 0 < x < 1e9 for x in value)
    require(good, f"{key!r} is {describe(value)}, not two positive numbers.", f"Write {key} = [8, 2], a Beta.")
    assert isinstance(value, list)
    return float(value[0]), float(value[1])


__all__ = ["FORMAT", "RUNGS", "SURE", "Content", "Conventions", "Query", "read_content"]
