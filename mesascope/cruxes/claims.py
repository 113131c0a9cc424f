"""What is stated, by whom, and what the modeller adds; all frozen, all with the line they came from."""

from dataclasses import dataclass, field

from mesascope.cruxes.language import SURE, Event
from mesascope.cruxes.readings import MODES, WORDS, Reading
from mesascope.errors import pick_named, require

NUMERIC = ("prob", "prior")
KINDS = {
    "prob": "a probability",
    "prior": "a probability held before the evidence",
    "fraction": "a share of a population",
    "trend": "a direction in time",
    "count": "a count without a number",
    "scope": "what all else is conditional on",
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
    """Who speaks: a role, whether the readings are inferred or endorsed, and what all they say is under."""

    id: str
    name: str
    attribution: str
    scope: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Wording:
    """One way to take an ambiguous claim."""

    event: Event
    given: Event
    value: Reading


@dataclass(frozen=True)
class Claim:
    """Something a person said.

    `event`, `given` and `value` are the default reading; `wordings` holds the others by label.
    Only kinds in `NUMERIC` enter inference. `says` are the atoms as written, before definitions.
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
    """A person declines questions: `of` names the claims that put them, `instead` a claim of theirs."""

    by: str
    of: tuple[str, ...]
    reason: str
    instead: str
    line: int


@dataclass(frozen=True)
class Bridge:
    """A rule of the modeller's that ties a person's vocabulary to the target; never that person's claim."""

    id: str
    people: tuple[str, ...]
    rule: Event
    optional: bool
    independent: tuple[tuple[str, ...], ...]
    line: int


@dataclass(frozen=True)
class Question:
    """An open question: would a change of mind about `via` move `to` towards `about`?"""

    id: str
    by: str
    to: str
    about: Event
    via: Event
    text: str
    line: int


@dataclass(frozen=True)
class Evidence:
    """Something observable that bears on an event; ratios only for people for whom the file states one.

    `ratios`: likelihood ratio sets where it is observed; `against`: where it is observed not to hold;
    `hypotheses`: per person ((a1, b1), (a0, b0)), Betas of the success rate if the event holds, if not.
    """

    id: str
    text: str
    about: Event
    ratios: dict[str, tuple[float, float]]
    against: dict[str, tuple[float, float]]
    hypotheses: dict[str, tuple[tuple[float, float], tuple[float, float]]]
    stated: dict[str, str]
    counts: bool
    line: int


@dataclass(frozen=True)
class Measure:
    """How findings become one k of n for an evidence item.

    Either `placement` (a rung of the ladder: at or above it counts as observed) or `metric` with `above`
    (the whole interval above it counts as observed). `counts` says what one unit is.
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
    line: int


@dataclass(frozen=True)
class Cut:
    """A way to cut the gap: the target is the product of the parts, or one minus it."""

    id: str
    text: str
    target: Event
    given: Event
    form: str
    parts: dict[str, Event]
    assume: dict[str, dict[str, str]]
    groups: tuple[tuple[str, ...], ...]
    why: str
    line: int


@dataclass(frozen=True)
class Bottom:
    """At which line a person's target is read in a comparison: bridges, reflection, and where in the set."""

    bridges: tuple[str, ...] = ()
    reflective: bool = False
    at: str = "middle"


@dataclass(frozen=True)
class Filing:
    """A remark on where cruxes belong, checked against a cut under each way to file its parts."""

    id: str
    text: str
    claim: str
    cut: str
    options: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Query:
    """What is asked by default: the target, the people compared, and what each one's target is given."""

    target: Event
    compare: tuple[str, ...]
    given: dict[str, Event]
    written: str = ""


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
        pick_named("reading", self.reading, MODES)
        pick_named("scale of words", self.words, WORDS)
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
