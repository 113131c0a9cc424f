"""Frozen data classes for the entries of a crux file: what each person states, and what the modeller adds."""

from dataclasses import dataclass, field
from typing import Any

from mesascope.cruxes.language import SURE_EVENT, Event, parse_event, require_known_atoms
from mesascope.cruxes.readings import READING_MODES, WORD_SCALES, Reading
from mesascope.errors import require, require_known_name

INFERENCE_KINDS = ("prob", "prior")
NUMERIC_KINDS = (*INFERENCE_KINDS, "posterior")
MAX_QUOTE_LENGTH = 240
CLAIM_KINDS = {
    "prob": "a probability",
    "prior": "a probability before the evidence",
    "posterior": "a probability after the evidence, which is compared with the update and not with the prior",
    "fraction": "a share of a population",
    "trend": "a direction in time",
    "count": "a count without a number",
    "scope": "a condition on everything else that is said",
    "crux": "a declared crux",
    "cruxes": "a list of cruxes",
    "placement": "a remark on where the cruxes lie",
    "belief": "a belief about another group's belief",
    "comparison": "a comparison of two chances",
    "ambiguity": "one phrase that stands for several events",
    "objection": "an objection to a word",
    "remark": "a remark without a number",
}


SUBJECT_KINDS = {
    "trained": "a network that mesascope trained",
    "scripted": "a program written by hand, which serves as a control",
    "outside": "an agent or model that a user brought, or a log",
    "unstated": "a subject whose kind the findings do not state",
}
SUBJECT_FILTERS = ("family", "trained_on", "recipe")


@dataclass(frozen=True)
class Person:
    """A speaker.

    Args:
        id, name: the person's id in the file, and the person's name.
        attribution: 'inferred' if the modeller inferred the readings of the person's claims, 'endorsed' if the person
            endorsed these readings.
        scope: the conditions, as texts, on everything that the person says.
    """

    id: str
    name: str
    attribution: str
    scope: tuple[str, ...]


@dataclass(frozen=True)
class Interpretation:
    """An alternative reading of an ambiguous claim."""

    event: Event
    condition: Event
    value: Reading


@dataclass(frozen=True)
class Claim:
    """A statement of one or more people. Only the kinds in `INFERENCE_KINDS`, and comparisons, enter inference.

    Args:
        id, line: the id of the claim, and its line in the file.
        people: the ids of the people who state it.
        kind: a key of `CLAIM_KINDS`.
        text: the statement as the modeller sums it up.
        quote, at: a phrase in the person's own words, and where the person said it.
        reading_name: the name of the default interpretation, if the claim has other interpretations.
        is_endorsed: whether the person endorsed this reading; otherwise the modeller inferred it.
        after: for a posterior, the id of the evidence after which the person holds this belief.
        than, than_condition: for a comparison, which claims that P(than | than_condition) is at most
            P(event | condition), the two events of the smaller chance.
        event, condition, value: the events and the stated value of P(event | condition), in the default interpretation;
            `event` and `value` are None if the claim does not state them.
        reflective_value: the value that the person expects on reflection; None if the claim does not state it.
        word: the probability word that was stated with the number.
        hedge: a remark of the person that weakens the statement.
        interpretations: the other interpretations of the claim, by label.
        is_used: whether the claim enters inference.
        share_of, population: for a claim of kind 'fraction', the members that the share counts, and the population.
        related_claims: the ids of the claims that this claim is about.
        events: the events for which an ambiguous phrase stands.
        phrase: the phrase that is ambiguous or objected to.
        denied_by: who denies the claim.
        event_text: the event as the file states it, before definitions are expanded.
    """

    id: str
    people: tuple[str, ...]
    kind: str
    line: int
    text: str = ""
    event: Event | None = None
    condition: Event = SURE_EVENT
    value: Reading | None = None
    reflective_value: Reading | None = None
    word: str = ""
    hedge: str = ""
    interpretations: dict[str, Interpretation] = field(default_factory=dict)
    is_used: bool = True
    share_of: str = ""
    population: str = ""
    related_claims: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    phrase: str = ""
    denied_by: str = ""
    event_text: str = ""
    quote: str = ""
    at: str = ""
    reading_name: str = ""
    is_endorsed: bool = False
    after: str = ""
    than: Event | None = None
    than_condition: Event = SURE_EVENT


@dataclass(frozen=True)
class Refusal:
    """A person's refusal to answer some questions.

    Args:
        person: the id of the person.
        claims: the ids of claims; the person refuses the questions that these claims answer.
        reason: the reason, in the person's words.
        offered_claim: the id of the claim that the person offers instead, or ''.
        line: the line in the file.
    """

    person: str
    claims: tuple[str, ...]
    reason: str
    offered_claim: str
    line: int


@dataclass(frozen=True)
class Reply:
    """A person's later reply to claims: a retraction of the person's own claims, or an agreement with other claims.

    Args:
        kind: 'retraction' or 'agreement'.
        person: the id of the person, or 'unknown'.
        claims: the ids of the claims; a retracted claim leaves inference, and an agreement adds no number.
        text, quote, at: the reply in the modeller's words, a phrase in the person's own words, and where the
            person said it.
    """

    kind: str
    person: str
    claims: tuple[str, ...]
    text: str
    quote: str
    at: str


@dataclass(frozen=True)
class Bridge:
    """A rule that the modeller adds to connect people's vocabulary to the target; it is never a person's claim."""

    id: str
    people: tuple[str, ...]
    rule: Event
    is_optional: bool
    text: str = ""


@dataclass(frozen=True)
class Question:
    """An open question to a person: how would the belief in the event change if the belief in the premise changed?"""

    id: str
    asker: str
    person: str
    event: Event
    premise: Event
    text: str


@dataclass(frozen=True)
class Evidence:
    """An observation that bears on an event.

    Args:
        event: the event that the observation bears on; the sure event if `hypothesis_set` names a set of hypotheses.
        ratios: the likelihood ratio of the observation as an interval, by person; people without a ratio are missing.
        opposite_ratios: the likelihood ratio of the opposite observation, in the same form.
        hypotheses: for each person, the parameters ((a1, b1), (a0, b0)) of the Beta distributions of the success rate
            if the event holds (a1, b1) and if it does not hold (a0, b0).
        is_count: whether the observation is a count, k of n.
        hypothesis_set: the id of the set of hypotheses that the observation bears on; '' if it bears on one event.
        likelihoods: for each person and each hypothesis of the set `hypothesis_set`, the interval of the chance of the
            observation, or the parameters [a, b] of the Beta distribution of the success rate.
        observed: the count (k, n), which means k successes in n cases; None if the file does not state the count.
        transfer: for each person, the power to which the person raises the likelihoods, because the system that was
            measured is not the system of the claim. A power of 1 counts the measurement in full, and 0 ignores it.
    """

    id: str
    text: str
    event: Event
    ratios: dict[str, tuple[float, float]]
    opposite_ratios: dict[str, tuple[float, float]]
    hypotheses: dict[str, tuple[tuple[float, float], tuple[float, float]]]
    is_count: bool
    hypothesis_set: str = ""
    likelihoods: dict[str, dict[str, Any]] = field(default_factory=dict)
    observed: tuple[int, int] | None = None
    transfer: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class IndependenceGroup:
    """Evidence items whose dependence the modeller states.

    Args:
        items: the ids of the items.
        discount: the power to which each item's likelihoods are raised, which is 1 if the items are independent given
            each hypothesis, and less if they repeat each other.
        reason: why the modeller chose this discount.
    """

    items: tuple[str, ...]
    discount: float
    reason: str


@dataclass(frozen=True)
class Measure:
    """A rule that counts findings as k of n for an evidence item.

    Args:
        id: the id of the measure.
        evidence: the id of the evidence item whose count this is.
        rung: the lowest rung of the ladder at which a placed unit counts as observed; '' if the measure uses a metric.
        metric, threshold: the metric whose interval (for a training seed, whose number) must lie above the threshold
            for a unit to count as observed; the metric is '' if the measure uses a rung.
        unit_kind: 'subject', 'fingerprint' (all subjects with the same weights are one unit), or 'seed' (each training
            seed of a study's findings is one unit).
        undetermined: 'leave out' to leave undetermined units out of k and n, or 'count as not' to count these units as
            not observed.
        kinds: the kinds of subject that count, as keys of `SUBJECT_KINDS`.
        filters: for some of the settings 'family', 'trained_on' and 'recipe', the value that a subject must have to
            count.
        measured_network, claimed_network: descriptions of the network that was measured and of the network that the
            claim is about.
    """

    id: str
    evidence: str
    rung: str
    metric: str
    threshold: float
    unit_kind: str
    undetermined: str
    measured_network: str
    claimed_network: str
    kinds: tuple[str, ...] = ("trained",)
    filters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """A way to split a gap: the target's chance is the product of the parts' chances, or one minus this product.

    Args:
        id, text: the id of the cut, and its description.
        target, condition: the two events of P(target | condition), the chance that the cut splits.
        form: 'product', or 'complement' for one minus the product.
        parts: the event of each part, by name; each part is conditional on the parts before it.
        assumptions: for each person, the values that the modeller assumes for some parts, by the parts' names; the
            value "rest" means that the part's number follows from the target and the other parts.
        groups: groups of names of parts; the method 'owen' keeps the parts of a group together.
        reason: the reason for the assumptions.
    """

    id: str
    text: str
    target: Event
    condition: Event
    form: str
    parts: dict[str, Event]
    assumptions: dict[str, dict[str, str]]
    groups: tuple[tuple[str, ...], ...]
    reason: str


@dataclass(frozen=True)
class BottomLine:
    """The rule by which a comparison takes one number, the bottom line, from a person's answer.

    Args:
        bridges: ids of the optional bridges to switch on.
        is_reflective: whether to use the values that the person expects on reflection.
        point: the point of the answer's interval to use ('low', 'middle' or 'high').
    """

    bridges: tuple[str, ...] = ()
    is_reflective: bool = False
    point: str = "middle"


@dataclass(frozen=True)
class Filing:
    """A remark on where the cruxes lie; each of its `options` names the parts of a cut that the remark may cover."""

    id: str
    cut: str
    options: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Query:
    """The default question: the target, the people compared, and each person's condition."""

    target: Event
    people: tuple[str, ...]
    conditions: dict[str, Event]


@dataclass(frozen=True)
class Conventions:
    """The rules by which a crux file is read. Every field is a command-line option, and the output states its value.

    Args:
        reading: whether values are read as numbers if possible ('centre'), as intervals ('set') or as Beta
            distributions ('beta').
        words: the scale that gives intervals to probability words without a number, which is 'ipcc' (IPCC AR4), 'icd'
            (ICD-203) or 'union' (the union of both).
        plus_minus: the half-width of the interval of '~p'.
        reflective: whether the value that a person expects on reflection replaces the present value.
        bridges: ids of the optional bridges to switch on.
        interpretations: labels of the alternative interpretations to use.
    """

    reading: str = "centre"
    words: str = "union"
    plus_minus: float = 0.05
    reflective: bool = False
    bridges: tuple[str, ...] = ()
    interpretations: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises `MesascopeError` for an unknown reading, an unknown scale, or a half-width outside [0, 0.5]."""
        require_known_name("reading", self.reading, READING_MODES)
        require_known_name("scale of words", self.words, WORD_SCALES)
        problem = f"A half-width of {self.plus_minus} is not between 0 and 0.5."
        require(0 <= self.plus_minus <= 0.5, problem, "Example: --plus-minus 0.05.")


@dataclass
class Content:
    """All entries of one crux file. The loader adds the entries table by table; afterwards they do not change."""

    name: str
    title: str = ""
    origin: str = ""
    query: Query | None = None
    atoms: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, Event] = field(default_factory=dict)
    definition_texts: dict[str, str] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    questions: dict[str, Question] = field(default_factory=dict)
    bridges: dict[str, Bridge] = field(default_factory=dict)
    cuts: dict[str, Cut] = field(default_factory=dict)
    bottom: dict[str, BottomLine] = field(default_factory=dict)
    filings: dict[str, Filing] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    hypotheses: dict[str, dict[str, Event]] = field(default_factory=dict)
    independence: dict[str, IndependenceGroup] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    quantities: dict[str, Any] = field(default_factory=dict)  # values: `quantities.Quantity`
    decisions: dict[str, Any] = field(default_factory=dict)  # values: `quantities.Decision`

    def find_reply(self, kind: str, claim: str) -> Reply | None:
        """Finds the first reply of this kind to a claim; None if there is no such reply."""
        return next((reply for reply in self.replies if reply.kind == kind and claim in reply.claims), None)

    def resolve_event(self, event: str | Event) -> Event:
        """Parses an event if it is a text, checks that its atoms exist, and expands its definitions."""
        event = parse_event(event) if isinstance(event, str) else event
        return require_known_atoms(event, {*self.atoms, *self.definitions}).expand(self.definitions)
