"""Reads the entries that refer to claims: refusals, questions, bridges, query, cuts, evidence and measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mesascope.cruxes import claims
from mesascope.cruxes.language import SURE_EVENT, Event, enumerate_worlds
from mesascope.cruxes.readings import read_ratio, read_value
from mesascope.cruxes.source import Fields, Source, describe_value, quote_number
from mesascope.errors import require, require_known_name

RUNGS = ("inert", "reactive", "tracking", "locating", "acquiring")
OLDER_RUNGS = (*RUNGS, "general")  # of the older rule, by which some saved findings were placed


class EntryReader:
    """Reads entries one by one; an entry may refer to the entries that were read before it.

    Args:
        source: the parsed file.
        conventions: the conventions for reading values.

    Attributes:
        content: the entries that were read so far.
    """

    def __init__(self, source: Source, conventions: claims.Conventions):
        self.source, self.conventions, self.content = source, conventions, claims.Content(source.name)

    def pick_person(self, name: str) -> str:
        """Returns a person's id if the file has this person; otherwise raises `MesascopeError`."""
        return require_known_name("person", name, self.content.people)

    def read_event(self, fields: Fields, key: str, is_required: bool = True) -> Event:
        """Parses an event field and expands its definitions; an optional event that is missing is the sure event."""
        if key not in fields.table and not is_required:
            return SURE_EVENT
        text = fields.read_field(key, f'Add {key} = "T & C".')
        problem = f"The field {key!r} is {describe_value(text)}, not text."
        require(isinstance(text, str), problem, f'Quote it: {key} = "T & C".')
        return self.content.resolve_event(text)

    def read_condition(self, fields: Fields, key: str) -> Event:
        """Parses a condition; a missing or empty condition is the sure event.

        An impossible condition is an error; a condition of more than 16 atoms is not checked.
        """
        condition = SURE_EVENT if fields.table.get(key) == "" else self.read_event(fields, key, is_required=False)
        if condition.atoms and len(condition.atoms) <= 16:
            can_hold = bool(condition.evaluate(enumerate_worlds(condition.atoms)).any())
            problem = f"The condition {str(condition)[:80]!r} is impossible."
            require(can_hold, problem, "Condition on something that can happen.")
        return condition

    def read_each(self, table: str, read: Callable[[EntryReader, str, object], Any]) -> dict[str, Any]:
        """Reads every entry of a table with `read`, and returns the results by the entry's name or number.

        An error names the entry and its line.
        """
        entries = {}
        for key, value in self.source.read_entries(table).items():
            with self.source.locate_errors(table, key):
                entries[key] = read(self, key, value)
        return entries


def read_refusal(entry_reader: EntryReader, key: str, table: object) -> claims.Refusal:
    """Reads one refusal, and checks that the person and the claims exist."""
    fields = Fields(table, ("by", "of", "reason", "instead"))
    of = fields.read_texts("of", remedy='Name the refused claims: of = ["d1"].')
    instead = fields.read_text("instead")
    all_claims = entry_reader.content.claims
    for name in (*of, *([instead] if instead else [])):
        require_known_name("claim", name, all_claims)
    by = entry_reader.pick_person(fields.read_text("by", is_required=True))
    is_own_claim = not instead or by in all_claims[instead].people
    require(is_own_claim, f"{instead!r} is not a claim of {by!r}.", "Name a claim of the person who refuses.")
    line = entry_reader.source.find_line("refusals", key)
    return claims.Refusal(by, of, fields.read_text("reason", is_required=True), instead, line)


def read_retraction(entry_reader: EntryReader, key: str, table: object) -> claims.Reply:
    """Reads one retraction of a person's own claims."""
    reply = _read_reply(entry_reader, "retraction", table)
    for name in reply.claims:
        is_own = reply.person in entry_reader.content.claims[name].people
        require(is_own, f"{name!r} is not a claim of {reply.person!r}.", "People can retract only their own claims.")
    return reply


def read_agreement(entry_reader: EntryReader, key: str, table: object) -> claims.Reply:
    """Reads one reply in which a person agrees with claims."""
    return _read_reply(entry_reader, "agreement", table)


def _read_reply(entry_reader: EntryReader, kind: str, table: object) -> claims.Reply:
    fields = Fields(table, ("by", "of", "text", "quote", "at"))
    of = fields.read_texts("of", remedy='Name the claims: of = ["d1"].')
    for name in of:
        require_known_name("claim", name, entry_reader.content.claims)
    by = fields.read_text("by", is_required=True)
    by = by if by == "unknown" else entry_reader.pick_person(by)
    return claims.Reply(kind, by, of, fields.read_text("text"), read_quote(fields), fields.read_text("at"))


def read_quote(fields: Fields) -> str:
    """Reads a quoted phrase of at most `claims.MAX_QUOTE_LENGTH` characters."""
    quote = fields.read_text("quote")
    problem = f"The quote has {len(quote)} characters."
    require(len(quote) <= claims.MAX_QUOTE_LENGTH, problem, f"Quote a phrase of at most {claims.MAX_QUOTE_LENGTH}.")
    return quote


def read_question(entry_reader: EntryReader, key: str, table: object) -> claims.Question:
    """Reads one open question, and adds it to the content by its id; a question marked as answered is an error."""
    fields = Fields(table, ("id", "by", "to", "about", "via", "text", "answered"))
    name, questions = fields.read_text("id", is_required=True), entry_reader.content.questions
    require(name not in questions, f"There are two questions {name!r}.", "Give each question its own id.")
    is_open = not fields.read_flag("answered")
    require(is_open, "This question is marked as answered.", "Write the answer in [claims].")
    by, to = (entry_reader.pick_person(fields.read_text(role, is_required=True)) for role in ("by", "to"))
    about, via = (entry_reader.read_event(fields, role) for role in ("about", "via"))
    questions[name] = claims.Question(name, by, to, about, via, fields.read_text("text"))
    return questions[name]


def read_bridge(entry_reader: EntryReader, key: str, table: object) -> claims.Bridge:
    """Reads one bridge, whose id must not be the id of a claim."""
    require(
        key not in entry_reader.content.claims, f"{key!r} is a claim already.", "A bridge is never a claim: rename it."
    )
    fields = Fields(table, ("for", "rule", "optional", "independent", "text"))
    people = fields.read_texts("for", remedy='Name the person it is for: for = "ann".')
    for name in people:
        entry_reader.pick_person(name)
    fields.read_groups(
        "independent", "atom", entry_reader.content.atoms, '[["S", "G"]]'
    )  # checked, but no engine uses it
    rule, is_optional = entry_reader.read_event(fields, "rule"), fields.read_flag("optional")
    return claims.Bridge(key, people, rule, is_optional, fields.read_text("text"))


def read_query(entry_reader: EntryReader, table: object) -> claims.Query:
    """Reads the file's query: the default question, the people compared, and their conditions."""
    fields = Fields(table, ("target", "compare", "given"))
    compare = tuple(entry_reader.pick_person(name) for name in fields.read_texts("compare"))
    by_person = fields.read_fields("given")
    conditions = {
        entry_reader.pick_person(name): entry_reader.read_condition(by_person, name) for name in by_person.table
    }
    return claims.Query(entry_reader.read_event(fields, "target"), compare, conditions)


def read_cut(entry_reader: EntryReader, key: str, table: object) -> claims.Cut:
    """Reads one cut of the gap, with its parts and the values that it assumes for each person."""
    fields = Fields(table, ("text", "target", "given", "form", "parts", "assume", "groups", "why"))
    part_fields = fields.read_fields("parts")
    parts = {name: entry_reader.read_event(part_fields, name) for name in part_fields.table}
    require(bool(parts), "The field 'parts' is missing.", 'Write parts = { a = "T", b = "C & L" }.')
    require(len(parts) <= 15, f"There are {len(parts)} parts.", "At most 15 are possible; merge some of them.")
    assume: dict[str, dict[str, str]] = {}
    for person, table_of_person in fields.read_table("assume").items():
        entry_reader.pick_person(person)
        assumed = Fields(table_of_person, parts)
        assume[person] = {name: assumed.read_text(name, is_required=True) for name in assumed.table}
        values = list(assume[person].values())
        for value in values:
            is_number = value == "rest" or read_value(value).centre is not None
            require(is_number, f"{value!r} is not a single number.", 'Assume a point such as "90%", or "rest".')
        require(values.count("rest") <= 1, "Two parts are 'rest'.", "Only one part can be 'rest'.")
    groups = fields.read_groups("groups", "part", parts, '[["a", "b"]]')
    condition = entry_reader.read_event(fields, "given", is_required=False)
    text, target = fields.read_text("text"), entry_reader.read_event(fields, "target")
    form = fields.read_choice("form", ("product", "complement"), "product")
    return claims.Cut(key, text, target, condition, form, parts, assume, groups, fields.read_text("why"))


def read_bottom_line(entry_reader: EntryReader, key: str, table: object) -> claims.BottomLine:
    """Reads the rule by which a comparison takes one number from a person's answer."""
    entry_reader.pick_person(key)
    fields = Fields(table, ("bridges", "reflective", "at"))
    bridges = fields.read_texts("bridges")
    for name in bridges:
        require_known_name("bridge", name, entry_reader.content.bridges)
    reflective, at = fields.read_flag("reflective"), fields.read_choice("at", ("low", "middle", "high"), "middle")
    return claims.BottomLine(bridges, reflective, at)


def read_filing(entry_reader: EntryReader, key: str, table: object) -> claims.Filing:
    """Reads one remark on where the cruxes lie, with the parts of a cut that the remark may cover."""
    fields = Fields(table, ("text", "claim", "cut", "options"))
    cut, claim = fields.read_text("cut", is_required=True), fields.read_text("claim")
    require_known_name("cut", cut, entry_reader.content.cuts)
    if claim:
        require_known_name("claim", claim, entry_reader.content.claims)
    option_fields = fields.read_fields("options")
    options = {label: option_fields.read_texts(label) for label in option_fields.table}
    for part in (part for parts in options.values() for part in parts):
        require_known_name("part", part, entry_reader.content.cuts[cut].parts)
    fields.read_text("text")
    return claims.Filing(key, cut, options)


def read_evidence(entry_reader: EntryReader, key: str, table: object) -> claims.Evidence:
    """Reads one evidence item, with each person's likelihood ratios or hypotheses."""
    keys = ("text", "about", "lr", "lr_against", "hypotheses", "counts", "over", "likelihoods", "observed", "transfer")
    fields = Fields(table, keys)
    ratios, against = (
        {entry_reader.pick_person(person): read_ratio(ratio) for person, ratio in fields.read_table(name).items()}
        for name in ("lr", "lr_against")
    )
    hypotheses = {}
    for person, rates in fields.read_table("hypotheses").items():
        betas = Fields(rates, ("if_true", "if_false"))
        hypotheses[entry_reader.pick_person(person)] = tuple(
            _read_beta(betas, side) for side in ("if_true", "if_false")
        )
    text, over = fields.read_text("text"), fields.read_text("over")
    about = SURE_EVENT if over else entry_reader.read_event(fields, "about")
    counts = fields.read_flag("counts") or bool(hypotheses)
    transfer = fields.read_fields("transfer")
    powers = {entry_reader.pick_person(person): transfer.read_number(person, 1.0) for person in transfer.table}
    for person, power in powers.items():
        require(0 <= power <= 1, f"The transfer {power} of {person!r} is not between 0 and 1.", "Example: ann = 0.5.")
    likelihoods = {}
    if over:
        sets = entry_reader.content.hypotheses
        names = sets[require_known_name("set of hypotheses", over, sets)]
        for person, chances in fields.read_table("likelihoods").items():
            stated = Fields(chances, names)
            likelihoods[entry_reader.pick_person(person)] = {
                name: _read_likelihood(entry_reader, stated, name) for name in names
            }
    observed = _read_count(fields) if "observed" in fields.table else None
    counted = (over, likelihoods, observed, powers)
    return claims.Evidence(key, text, about, ratios, against, hypotheses, counts, *counted)


def _read_likelihood(entry_reader: EntryReader, fields: Fields, name: str) -> Any:
    """Reads the chance of an observation under one hypothesis: a value, or the parameters [a, b] of a rate's Beta."""
    stated = fields.read_field(name, f'Add {name} = "60%", the chance of the observation if {name} holds.')
    if isinstance(stated, list):
        return list(_read_beta(fields, name))
    return read_value(
        quote_number(stated), entry_reader.conventions.words, entry_reader.conventions.plus_minus
    ).select_interval("centre")


def _read_count(fields: Fields) -> tuple[int, int]:
    pair: Any = fields.table["observed"]
    is_count = isinstance(pair, list) and len(pair) == 2 and all(type(x) is int for x in pair)
    is_count = is_count and 0 <= pair[0] <= pair[1] <= 10**9 and pair[1] >= 1
    require(is_count, f"'observed' is {describe_value(pair)}, not a count.", "Write observed = [7, 10], for 7 of 10.")
    return pair[0], pair[1]


def read_hypotheses(entry_reader: EntryReader, key: str, table: object) -> dict[str, Event]:
    """Reads a set of 2 to 8 hypotheses; the modeller assumes that exactly one of these events holds."""
    fields = Fields(table, ("text", "of"))
    fields.read_text("text")
    names = fields.read_texts("of", remedy='Name the hypotheses: of = ["H1", "H2", "H3"].')
    require(2 <= len(names) <= 8, f"There are {len(names)} hypotheses.", "Between 2 and 8 are possible.")
    return {name: entry_reader.content.resolve_event(name) for name in names}


def read_independence(entry_reader: EntryReader, key: str, table: object) -> claims.IndependenceGroup:
    """Reads one group of evidence items, and the discount that the modeller states for their dependence."""
    fields = Fields(table, ("items", "discount", "why"))
    items = fields.read_texts("items", remedy='Name the items: items = ["e1", "e2"].')
    for name in items:
        require_known_name("evidence", name, entry_reader.content.evidence)
    require("discount" in fields.table, "The field 'discount' is missing.", "Write discount = 1 if independent.")
    discount = fields.read_number("discount", 1.0)
    require(0 <= discount <= 1, f"The discount {discount} is not between 0 and 1.", "Example: discount = 0.5.")
    return claims.IndependenceGroup(items, discount, fields.read_text("why"))


def read_measure(entry_reader: EntryReader, key: str, table: object) -> claims.Measure:
    """Reads one measure: a rule that counts findings, as k of n, for an evidence item."""
    keys = ("feeds", "placement", "metric", "above", "counts", "undetermined", "measured", "claimed", "kinds")
    fields = Fields(table, (*keys, *claims.SUBJECT_FILTERS))
    feeds = require_known_name("evidence", fields.read_text("feeds", is_required=True), entry_reader.content.evidence)
    placement, metric = fields.read_text("placement"), fields.read_text("metric")
    remedy = 'Write placement = "acquiring", or metric = "…" and above = 0.05.'
    require(bool(placement) != bool(metric), "A measure uses either a placement or a metric.", remedy)
    if placement:
        problem = f"The ladder no longer has the rung {placement!r}."
        require(placement not in OLDER_RUNGS[len(RUNGS) :], problem, f'Write placement = "{RUNGS[-1]}".')
        require_known_name("rung", placement, RUNGS)
    require(not metric or "above" in fields.table, "The field 'above' is missing.", "Add above = 0.05.")
    above = fields.read_number("above", 0.0)
    counts = fields.read_choice("counts", ("subject", "fingerprint", "seed"), "fingerprint")
    undetermined = fields.read_choice("undetermined", ("leave out", "count as not"), "leave out")
    measured, claimed = (fields.read_text(name, is_required=True) for name in ("measured", "claimed"))
    kinds = fields.read_texts("kinds") or ("trained",)
    for kind in kinds:
        require_known_name("kind of subject", kind, claims.SUBJECT_KINDS)
    filters = {name: fields.read_text(name) for name in claims.SUBJECT_FILTERS if name in fields.table}
    rule = (feeds, placement, metric, above, counts, undetermined, measured, claimed)
    return claims.Measure(key, *rule, kinds, filters)


def _read_beta(fields: Fields, key: str) -> tuple[float, float]:
    numbers: Any = fields.table.get(key)
    is_pair = isinstance(numbers, list) and len(numbers) == 2 and all(type(x) in (int, float) for x in numbers)
    is_beta = is_pair and all(0 < x < 1e9 for x in numbers)
    require(
        is_beta,
        f"{key!r} is {describe_value(numbers)}, not two positive numbers.",
        f"Write {key} = [8, 2], for a Beta.",
    )
    return float(numbers[0]), float(numbers[1])
