"""Splits the gap between two people by the claims that both state, with one remainder for everything else."""

from dataclasses import dataclass, replace

import numpy as np

from mesascope.cruxes.answers import POINT_TOLERANCE, answer_question
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.bounds import Constraint, Polytope
from mesascope.cruxes.disagreement import convert_to_scale, find_shapley_shares
from mesascope.cruxes.language import Event, are_equivalent, conjoin
from mesascope.errors import MesascopeError

SHARED_CUT = "shared claims"
REST_LABEL = "vocabulary, bridges and what only one of them states"
MAX_SHARED_CLAIMS = 6


@dataclass(frozen=True)
class Part:
    """One part of a gap.

    Args:
        name, event: the part's name and event.
        values: each person's number for it, given the parts before it; None for a remainder.
        sources: the source of each number: 'stated or implied', 'assumed by the modeller' or 'rest'.
        share: its share of the gap, on the gap's scale.
        fraction: the share divided by the gap.
        span: the least and greatest fraction over the interval of the bottom line.
    """

    name: str
    event: str
    values: tuple[float | None, float | None]
    sources: tuple[str, str]
    share: float
    fraction: float | None
    span: tuple[float, float] | None = None


def make_part(
    name: str,
    event: Event,
    values: tuple[float | None, float | None],
    sources: tuple[str, str],
    share: float,
    *,
    total: float,
    span: tuple[float, float] | None = None,
) -> Part:
    """Make a part, and compute its fraction of the gap unless the gap is zero."""
    fraction = float(share) / total if abs(total) > POINT_TOLERANCE else None
    return Part(name, str(event), values, sources, float(share), fraction, span)


@dataclass(frozen=True)
class Gap:
    """The difference between two people, in parts.

    Args:
        people: the two people; the gap is the second person's number minus the first's.
        target, given: the question.
        cut, text, form, scale, method: how the gap was split.
        ends: each person's number on the target.
        total: the difference of the ends on the scale.
        remainder: the total minus the sum of the shares; 0 unless the method moves parts one at a time.
        parts: the parts with their shares.
        assumptions: the assumptions, printed with the gap.
    """

    people: tuple[str, str]
    target: str
    given: str
    cut: str
    text: str
    form: str
    scale: str
    method: str
    ends: tuple[float, float]
    total: float
    remainder: float
    parts: tuple[Part, ...]
    assumptions: tuple[str, ...]

    @property
    def top(self) -> Part:
        """The part with the largest share."""
        return max(self.parts, key=lambda part: abs(part.share))


def explain_shared(
    argument: Argument, one: str, other: str, target: str | Event | None, scale: str, *, method: str
) -> Gap:
    """Split the gap by shared claims; a claim is shared if both people state the same event and condition.

    Args:
        argument: the argument.
        one, other: the two people; the gap is the number of `other` minus that of `one`.
        target: an event; by default the target of the file's query.
        scale: 'prob', 'log' or 'logodds'.
        method: only 'shapley'.

    Each shared claim is a player of a Shapley game, and has one person's value or the other's. The rest
    (vocabulary, bridges and claims of one person only) is one more player, so the shares always add up to the gap.
    """
    if method != "shapley":
        raise MesascopeError(f"The method {method!r} needs a cut of the file.", "Use --method shapley, or add [cuts].")
    questions = [argument.choose_question(p, target, None) for p in (one, other)]
    models = [argument.build_polytope(p) for p in (one, other)]
    relevant_parts = [m.select_connected(conjoin(*q).atoms) for m, q in zip(models, questions, strict=True)]
    pairs = [
        (a, b)
        for a in relevant_parts[0].constraints
        for b in relevant_parts[1].constraints
        if are_equivalent(a.condition, b.condition) and are_equivalent(a.event, b.event)
    ]
    if len(pairs) > MAX_SHARED_CLAIMS:
        raise MesascopeError(
            f"{len(pairs)} claims are shared; at most {MAX_SHARED_CLAIMS} can be split without a cut.",
            "Add [cuts] to the file.",
        )
    n = len(pairs)
    values = np.empty(2 ** (n + 1))
    for code in range(len(values)):
        side = (code >> n) & 1
        exchanged: list[Constraint] = []
        for c in models[side].constraints:
            index = next((i for i, pair in enumerate(pairs) if pair[side] is c), None)
            if index is not None:
                source = pairs[index][(code >> index) & 1]
                c = replace(c, low=source.low, high=source.high)
            exchanged.append(c)
        answer = answer_question((one, other)[side], Polytope(exchanged, models[side].rules), *questions[side])
        if answer.interval is None:
            raise MesascopeError(
                "The two people's shared claims cannot be exchanged: the rest contradicts them.",
                "Add [cuts] to the file.",
            )
        if answer.status == "unstated" and code in (0, len(values) - 1):
            person = (one, other)[side]
            raise MesascopeError(
                f"{person}'s claims do not bound {questions[side][0]}, so there is no gap.",
                f"Choose another target, or add a claim of {person} or a bridge.",
            )
        values[code] = sum(answer.interval) / 2
    shares = find_shapley_shares(convert_to_scale(values, scale))
    scaled = convert_to_scale(values[[0, -1]], scale)
    total = float(scaled[1] - scaled[0])
    parts = []
    for (a, b), share in zip(pairs, shares, strict=False):
        first, second = (c.low if c.low == c.high else None for c in (a, b))
        sources = ("stated or implied", "stated or implied")
        parts.append(make_part(f"{a.id} / {b.id}", a.event, (first, second), sources, share, total=total))
    rest = ("rest", "rest")
    parts.append(make_part(REST_LABEL, questions[0][0], (None, None), rest, shares[-1], total=total))
    notes = ["each bottom line is the middle of its bounds", "claims are shared if event and condition are the same"]
    for a, b in pairs:
        if a.low != a.high or b.low != b.high:
            notes.append(f"{a.id} is [{a.low:.4g}, {a.high:.4g}], {b.id} is [{b.low:.4g}, {b.high:.4g}]")
    if not are_equivalent(questions[0][1], questions[1][1]):
        notes.append(f"{one} is asked given {questions[0][1]}, {other} given {questions[1][1]}")
    return Gap(
        (one, other),
        str(questions[0][0]),
        str(questions[0][1]),
        SHARED_CUT,
        "the claims that both state",
        "shared",
        scale,
        method,
        (float(values[0]), float(values[-1])),
        total,
        0.0,
        tuple(parts),
        tuple(notes),
    )
