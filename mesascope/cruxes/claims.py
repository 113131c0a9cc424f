"""Frozen data classes for the entries of a crux file: what each person states, and what the modeller adds."""

from dataclasses import dataclass, field

from mesascope.cruxes.language import SURE, Event, parse, require_known_atoms
from mesascope.cruxes.readings import READING_MODES, WORD_SCALES, Reading
from mesascope.errors import pick_named, require

NUMERIC_KINDS = ("prob", "prior")
CLAIM_KINDS = {
    "prob": "a probability",
    "prior": "a probability before the evidence",
    "fraction": "a share of a population",
    "trend": "a direction in time",
    "count": "a count without a number",
    "scope": "a condition on everything else that is said",
    "crux": "a declared crux",
    "cruxes": "a list of cruxes",
    "placement": "where cruxes belong",
    "belief": "a belief about another group's belief",
    "comparison": "a comparison of two chances",
    "ambiguity": "one phrase, several events",
    "objection": "an objection to a word",
}


@dataclass(frozen=True)
class Person:
    """A speaker.

    Args:
        id, name: the person's id in the file, and the name.
        attribution: 'inferred' if the modeller inferred the readings, 'endorsed' if the person endorsed them.
        scope: conditions on everything that the person says.
    """

    id: str
    name: str
    attribution: str
    scope: tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """An alternative reading of an ambiguous claim."""

    event: Event
    condition: Event
    value: Reading


@dataclass(frozen=True)
class Claim:
    """A person's statement.

    `event`, `given` and `value` hold the default reading; `wordings` holds the other readings by label.
    Only kinds in `NUMERIC_KINDS` enter inference. `written` is the event before definitions are expanded.
    """

    id: str
    by: tuple[str, ...]
    kind: str
    line: int
    text: str = ""
    event: Event | None = None
    given: Event = SURE
    value: Reading | None = None
    reflective: Reading | None = None
    verbal: str = ""
    hedge: str = ""
    wordings: dict[str, Wording] = field(default_factory=dict)
    used: bool = True
    of: str = ""
    population: str = ""
    about: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    phrase: str = ""
    denied_by: str = ""
    written: str = ""


@dataclass(frozen=True)
class Refusal:
    """A person's refusal to answer what the claims in `of` answer; `instead` names one of that person's own claims."""

    by: str
    of: tuple[str, ...]
    reason: str
    instead: str
    line: int


@dataclass(frozen=True)
class Bridge:
    """A rule that the modeller adds to connect people's vocabulary to the target; it is never a person's claim."""

    id: str
    people: tuple[str, ...]
    rule: Event
    optional: bool


@dataclass(frozen=True)
class Question:
    """An open question of one person to another: would a change of mind about one event move you towards a second?"""

    id: str
    by: str
    to: str
    about: Event
    via: Event
    text: str


@dataclass(frozen=True)
class Evidence:
    """An observation that bears on an event.

    Args:
        ratios: the interval of the likelihood ratio of the observation, for each person for whom the file gives one.
        against: the same for the opposite observation.
        hypotheses: per person, the parameters ((a1, b1), (a0, b0)) of the Betas of the success rate if the event
            holds, and if it does not.
        counts: whether the observation is a count, k of n.
    """

    id: str
    text: str
    about: Event
    ratios: dict[str, tuple[float, float]]
    against: dict[str, tuple[float, float]]
    hypotheses: dict[str, tuple[tuple[float, float], tuple[float, float]]]
    counts: bool


@dataclass(frozen=True)
class Measure:
    """A rule that counts findings as k of n for an evidence item.

    A unit counts as observed if it is placed at the rung `placement` or above, or if the whole interval of
    `metric` is above `above`. `counts` says what one unit is.
    """

    id: str
    feeds: str
    placement: str
    metric: str
    above: float
    counts: str
    undetermined: str
    measured: str
    claimed: str


@dataclass(frozen=True)
class Cut:
    """A way to split the gap: the target's probability is a product of the parts' probabilities, or one minus this product."""

    id: str
    text: str
    target: Event
    given: Event
    form: str
    parts: dict[str, Event]
    assume: dict[str, dict[str, str]]
    groups: tuple[tuple[str, ...], ...]
    why: str


@dataclass(frozen=True)
class BottomLine:
    """How a comparison reads a person's bottom line.

    Args:
        bridges: ids of the optional bridges to switch on.
        reflective: whether to use the values that the person expects on reflection.
        at: the point of the interval to use: 'low', 'middle' or 'high'.
    """

    bridges: tuple[str, ...] = ()
    reflective: bool = False
    at: str = "middle"


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
    compare: tuple[str, ...]
    given: dict[str, Event]


@dataclass(frozen=True)
class Conventions:
    """How a crux file is read. Every field is a command-line option, and the output states its value.

    Args:
        reading: 'centre', 'set' or 'beta'.
        words: the scale for bare words: 'union', 'ipcc' or 'icd'.
        plus_minus: the half-width of the interval of '~p'.
        reflective: whether the value that a person expects on reflection replaces the present value.
        bridges: ids of the optional bridges to switch on.
        wordings: labels of the alternative wordings to use.
    """

    reading: str = "centre"
    words: str = "union"
    plus_minus: float = 0.05
    reflective: bool = False
    bridges: tuple[str, ...] = ()
    wordings: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises `MesascopeError` for an unknown reading, an unknown scale, or a half-width outside [0, 0.5]."""
        pick_named("reading", self.reading, READING_MODES)
        pick_named("scale of words", self.words, WORD_SCALES)
        require(
            0 <= self.plus_minus <= 0.5,
            f"A half-width of {self.plus_minus} is not between 0 and 0.5.",
            "Example: --plus-minus 0.05.",
        )


@dataclass
class Content:
    """All entries of one crux file. The loader adds the entries table by table; afterwards they do not change."""

    name: str
    title: str = ""
    origin: str = ""
    query: Query | None = None
    atoms: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, Event] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    questions: dict[str, Question] = field(default_factory=dict)
    bridges: dict[str, Bridge] = field(default_factory=dict)
    cuts: dict[str, Cut] = field(default_factory=dict)
    bottom: dict[str, BottomLine] = field(default_factory=dict)
    filings: dict[str, Filing] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)

    def resolve_event(self, event: str | Event) -> Event:
        """Parses an event if it is a text, checks that its atoms exist, and expands its definitions."""
        event = parse(event) if isinstance(event, str) else event
        return require_known_atoms(event, {*self.atoms, *self.definitions}).expand(self.definitions)
