"""Reads a crux file into frozen entries; every error names the entry and its line."""

from typing import Any

from mesascope.cruxes import entries, quantities
from mesascope.cruxes.claims import CLAIM_KINDS, NUMERIC_KINDS, Claim, Content, Conventions, Interpretation, Person
from mesascope.cruxes.entries import EntryReader
from mesascope.cruxes.language import Event, parse_event, require_known_atoms
from mesascope.cruxes.lines import ENTRY_NAMES, LIST_ENTRY_NAMES, TOP_FIELDS
from mesascope.cruxes.networks import sort_nodes
from mesascope.cruxes.readings import Reading, read_value
from mesascope.cruxes.source import Fields, Source, describe_value, quote_number
from mesascope.errors import MesascopeError, require, require_known_name

FORMAT = "mesascope-crux/1"
TABLES = (*TOP_FIELDS, "atoms", "groups", *ENTRY_NAMES, *LIST_ENTRY_NAMES)
CLAIM_TEXTS = {
    "verbal": "word",
    "of": "share_of",
    "reading": "reading_name",
}  # text keys of a claim in the file → fields of `Claim`
CLAIM_TEXTS |= {key: key for key in ("text", "hedge", "phrase", "denied_by", "population", "at", "after")}
CLAIM_KEYS = (
    *("by", "kind", "event", "given", "value", "reflective", "used", "about", "events", *CLAIM_TEXTS),
    *("within", "mass", "readings", "given_text", "direction", "of_group", "quote", "endorsed", "than", "than_given"),
)


def read_content(source: Source, conventions: Conventions) -> Content:
    """Reads and checks all entries of a file.

    Args:
        source: the parsed TOML.
        conventions: the conventions for reading values.

    Returns the file's `Content`. The first mistake raises `MesascopeError`, which names the entry and its line.
    """
    conventions.check()
    entry_reader = EntryReader(source, conventions)
    content, locate_errors = entry_reader.content, source.locate_errors
    _read_top_fields(entry_reader)
    content.atoms = _read_texts(entry_reader, "atoms")
    with locate_errors("atoms"):
        require(bool(content.atoms), "There are no atoms.", 'Write [atoms] and P = "the meaning of P".')
    _read_definitions(entry_reader)
    entry_reader.read_each("people", _read_person)
    with locate_errors("people"):
        require(bool(content.people), "There are no people.", 'Write [people] and ann = { name = "Ann" }.')
    _read_texts(entry_reader, "groups")
    content.claims = entry_reader.read_each("claims", _read_claim)
    for claim in content.claims.values():
        with locate_errors("claims", claim.id):
            for other in claim.related_claims:
                require_known_name("claim", other, content.claims)
    content.quantities = entry_reader.read_each("quantities", quantities.read_quantity)
    for quantity in content.quantities.values():
        content.claims |= _make_threshold_claims(entry_reader, quantity)
    content.decisions = entry_reader.read_each("decisions", quantities.read_decision)
    content.bridges = entry_reader.read_each("bridges", entries.read_bridge)
    for name in conventions.bridges:
        require_known_name("bridge", name, content.bridges)
    labels = {label for claim in content.claims.values() for label in claim.interpretations}
    for label in conventions.interpretations:
        require_known_name("interpretation", label, labels)
    content.cuts = entry_reader.read_each("cuts", entries.read_cut)
    content.hypotheses = entry_reader.read_each("hypotheses", entries.read_hypotheses)
    content.evidence = entry_reader.read_each("evidence", entries.read_evidence)
    content.independence = entry_reader.read_each("independence", entries.read_independence)
    if "query" in source.data:
        with locate_errors("query"):
            content.query = entries.read_query(entry_reader, source.data["query"])
    content.refusals = list(entry_reader.read_each("refusals", entries.read_refusal).values())
    content.replies = list(entry_reader.read_each("retractions", entries.read_retraction).values())
    content.replies += entry_reader.read_each("agreements", entries.read_agreement).values()
    entry_reader.read_each("questions", entries.read_question)
    content.bottom = entry_reader.read_each("bottom", entries.read_bottom_line)
    content.filings = entry_reader.read_each("filings", entries.read_filing)
    content.measures = entry_reader.read_each("measures", entries.read_measure)
    return content


def _read_top_fields(entry_reader: EntryReader) -> None:
    data, locate_errors = entry_reader.source.data, entry_reader.source.locate_errors
    for key in data:
        with locate_errors(key):
            require_known_name("table", str(key)[:80], TABLES)
    with locate_errors("format"):
        require("format" in data, "The field 'format' is missing.", f'Write format = "{FORMAT}" in the first line.')
        problem = f"The format is {describe_value(data['format'])}."
        require(data["format"] == FORMAT, problem, f'Write format = "{FORMAT}" in the first line.')
    fields = Fields({key: value for key, value in data.items() if key in ("title", "source")}, TABLES)
    with locate_errors("title"):
        entry_reader.content.title = fields.read_text("title", default="untitled")
    with locate_errors("source"):
        entry_reader.content.origin = fields.read_text("source")


def _read_texts(entry_reader: EntryReader, name: str) -> dict[str, str]:
    table = entry_reader.source.read_entries(name)
    for key in table:
        with entry_reader.source.locate_errors(name, key):
            Fields(table, table).read_text(key, is_required=True)
    return table


def _read_definitions(entry_reader: EntryReader) -> None:
    """Reads the definitions, each of which may use atoms and other definitions, and expands them to atoms."""
    content, locate_errors = entry_reader.content, entry_reader.source.locate_errors
    table = entry_reader.source.read_entries("defs")
    unexpanded: dict[str, Event] = {}
    for key, value in table.items():
        with locate_errors("defs", key):
            require(key not in content.atoms, f"{key!r} is an atom already.", "Rename the definition.")
            unexpanded[key] = require_known_atoms(parse_event(value), {*content.atoms, *table})
    content.definition_texts = {key: str(event) for key, event in unexpanded.items()}
    order, cyclic_names = sort_nodes({key: event.atoms for key, event in unexpanded.items()})
    if cyclic_names:
        with locate_errors("defs", cyclic_names[0]):
            problem = f"The definitions {', '.join(cyclic_names)} form a cycle."
            raise MesascopeError(problem, "Define each of them by atoms, or by definitions outside the cycle.")
    for key in order:
        with locate_errors("defs", key):
            content.definitions[key] = unexpanded[key].expand(content.definitions)


def _read_person(entry_reader: EntryReader, key: str, table: object) -> None:
    require(key != "unknown", "'unknown' stands for an unidentified speaker.", "Choose another id.")
    fields, people = Fields(table, ("name", "attribution", "scope")), entry_reader.content.people
    name = fields.read_text("name", is_required=True)
    for other in people.values():
        require(name != other.name, f"{name!r} is also the name of {other.id!r}.", "Give each person a different name.")
    attribution = fields.read_choice("attribution", ("inferred", "endorsed"), "inferred")
    people[key] = Person(key, name, attribution, fields.read_texts("scope"))


def _read_claim(entry_reader: EntryReader, key: str, table: object) -> Claim:
    fields = Fields(table, CLAIM_KEYS)
    people = fields.read_texts("by", remedy='Add by = "…", one of the people.')
    for name in people:
        if name != "unknown":
            entry_reader.pick_person(name)
    kind = fields.read_choice("kind", CLAIM_KINDS, "prob")
    common_fields: dict[str, Any] = {"id": key, "people": people, "kind": kind}
    common_fields |= {"line": entry_reader.source.find_line("claims", key), "is_used": fields.read_flag("used", True)}
    common_fields |= {"related_claims": fields.read_texts("about"), "quote": entries.read_quote(fields)}
    common_fields |= {"is_endorsed": fields.read_flag("endorsed")}
    common_fields |= {field: fields.read_text(key) for key, field in CLAIM_TEXTS.items()}
    if kind in NUMERIC_KINDS:
        require(len(people) == 1, "A claim with a number needs exactly one person.", "Write one claim per person.")
        return Claim(**common_fields, **_read_numeric_fields(entry_reader, fields))
    if kind == "fraction":
        remedy = 'Describe the share: of = "researchers who …".'
        require(bool(common_fields["share_of"]), "The field 'of' is missing.", remedy)
        return Claim(value=_read_claim_value(entry_reader, fields, "value"), **common_fields)
    if kind == "comparison" and "than" in fields.table:
        sides: dict[str, Any] = {
            "event": entry_reader.read_event(fields, "event"),
            "condition": entry_reader.read_condition(fields, "given"),
        }
        sides |= {"than": entry_reader.read_event(fields, "than")}
        return Claim(**common_fields, **sides, than_condition=entry_reader.read_condition(fields, "than_given"))
    for name in ("value", "given", "reflective", "readings", "than", "than_given"):
        require(name not in fields.table, f"A claim of kind {kind!r} has no field {name!r}.", "Remove it.")
    events = tuple(entry_reader.content.resolve_event(text) for text in fields.read_texts("events"))
    event = entry_reader.read_event(fields, "event") if "event" in fields.table else None
    is_complete = kind != "ambiguity" or len(events) > 1
    require(is_complete, "An ambiguity needs at least two events.", 'Write events = ["A", "B"].')
    return Claim(event=event, events=events, **common_fields)


def _make_threshold_claims(entry_reader: EntryReader, quantity: quantities.Quantity) -> dict[str, Claim]:
    """Makes the claims that follow from a quantity: one for each event that a threshold defines."""
    claims, line = {}, entry_reader.source.find_line("quantities", quantity.id)
    for atom, threshold in quantity.events.items():
        name, chance = f"{quantity.id}_{atom}", quantity.find_chance(threshold)
        with entry_reader.source.locate_errors("quantities", quantity.id):
            require(name not in entry_reader.content.claims, f"{name!r} is a claim already.", "Rename the quantity.")
        rule = f"the chance that {quantity.id} is {threshold}, by its {quantity.shape} distribution"
        reading = Reading(f"{chance:.6g}", "exact", chance, chance, chance, None, rule)
        text = f"{quantity.text or quantity.id} {threshold}"
        event = entry_reader.content.resolve_event(atom)
        words: dict[str, Any] = {"text": text, "quote": quantity.quote, "at": quantity.at, "event_text": atom}
        claims[name] = Claim(name, (quantity.person,), "prob", line, event=event, value=reading, **words)
    return claims


def _read_numeric_fields(entry_reader: EntryReader, fields: Fields) -> dict[str, Any]:
    """Reads the event, the condition and the value of a claim, and its alternative interpretations."""
    event, condition = entry_reader.read_event(fields, "event"), entry_reader.read_condition(fields, "given")
    interpretations = {}
    for label, table in fields.read_table("readings").items():
        changes = Fields(table, ("event", "given", "value"))
        is_usable = label.isprintable() and bool(label.strip())
        require(is_usable, "A reading has no usable label.", "Give it a printable label.")
        interpretations[label] = Interpretation(
            entry_reader.read_event(changes, "event") if "event" in changes.table else event,
            entry_reader.read_condition(changes, "given") if "given" in changes.table else condition,
            _read_claim_value(entry_reader, changes if "value" in changes.table else fields, "value"),
        )
    reflective = _read_claim_value(entry_reader, fields, "reflective") if "reflective" in fields.table else None
    value, text = _read_claim_value(entry_reader, fields, "value"), fields.read_text("event")
    values = {"value": value, "reflective_value": reflective, "interpretations": interpretations}
    return {"event": event, "condition": condition, "event_text": text, **values}


def _read_claim_value(entry_reader: EntryReader, fields: Fields, key: str) -> Reading:
    stated = fields.read_field(key, f'Add {key} = "~85%".')
    stated = quote_number(stated)
    problem = f"The field {key!r} is {describe_value(stated)}, not a number or quoted text."
    require(isinstance(stated, str), problem, f'Quote the original words: {key} = "~85%".')
    mass = fields.read_number("mass", 0.9) if "mass" in fields.table else None
    within, conventions = fields.read_text("within", default="vacuous"), entry_reader.conventions
    return read_value(stated, conventions.words, conventions.plus_minus, mass, within)
