"""The entries of a crux file as frozen data: who states what, and what the modeller adds."""

from dataclasses import dataclass, field

from mesascope.cruxes.language import SURE, Event
from mesascope.cruxes.readings import MODES, WORDS, Reading
from mesascope.errors import pick_named, require

NUMERIC = ("prob", "prior")
KINDS = {
    "prob": "a probability",
    "prior": "a probability before the evidence",
    "fraction": "a share of a population",
    "trend": "a direction in time",
    "count": "a count without a number",
    "scope": "a condition of everything else that is said",
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
    """A speaker: role, whether the readings are inferred or endorsed, and the scope of everything they say."""

    id: str
    name: str
    attribution: str
    scope: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Wording:
    """One reading of an ambiguous claim."""

    event: Event
    condition: Event
    value: Reading


@dataclass(frozen=True)
class Claim:
    """A statement of a person.

    `event`, `given` and `value` are the default reading; `wordings` are the other readings by label.
    Only kinds in `NUMERIC` enter inference. `written` is the event before definitions are expanded.
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
    """A person declines the questions that the claims `of` answer; `instead` names a claim of their own."""

    by: str
    of: tuple[str, ...]
    reason: str
    instead: str
    line: int


@dataclass(frozen=True)
class Bridge:
    """A rule of the modeller that connects people's vocabulary with the target; it is never a claim of theirs."""

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
    """An observation that bears on an event.

    Args:
        ratios: likelihood ratio intervals if it is observed, only for people for whom the file states one.
        against: the same if it is observed not to hold.
        hypotheses: per person ((a1, b1), (a0, b0)), Betas of the success rate if the event holds and if not.
        stated: the ratios as written.
        counts: whether it counts k of n.
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
    """How findings become k of n for an evidence item.

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
    line: int


@dataclass(frozen=True)
class Cut:
    """A way to split the gap: the target is the product of the parts, or one minus the product."""

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
    """How a person's bottom line is read in a comparison: bridges, reflection, and the point of the interval."""

    bridges: tuple[str, ...] = ()
    reflective: bool = False
    at: str = "middle"


@dataclass(frozen=True)
class Filing:
    """A remark on where cruxes belong, checked against a cut under each assignment of its parts."""

    id: str
    text: str
    claim: str
    cut: str
    options: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Query:
    """The default question: the target, the people compared, and each person's condition."""

    target: Event
    compare: tuple[str, ...]
    given: dict[str, Event]
    written: str = ""


@dataclass(frozen=True)
class Conventions:
    """How the file is read; every field is an option, and the output states it.

    Args:
        reading: 'centre', 'set' or 'beta'.
        words: scale for bare words: 'union', 'ipcc' or 'icd'.
        plus_minus: half-width of '~p' read as a set.
        reflective: whether the value that a person expects on reflection replaces the present value.
        bridges: optional bridges that are switched on.
        wordings: labels of the alternative wordings that are chosen.
    """

    reading: str = "centre"
    words: str = "union"
    plus_minus: float = 0.05
    reflective: bool = False
    bridges: tuple[str, ...] = ()
    wordings: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `MesascopeError` for an unknown reading or scale, or an unusable width."""
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
