"""Splits the gap between two people by the claims that both state, with one remainder for everything else."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mesascope.cruxes.answers import POINT_TOLERANCE, answer_question
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.disagreement import compute_shapley_values, convert_to_scale
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
        values: each person's number for the part, given the parts before it; None for a remainder.
        sources: the source of each number ('stated or implied', 'assumed by the modeller' or 'rest').
        share: the part's share of the gap, on the gap's scale.
        fraction: the share divided by the gap; None if the gap is 0.
        span: the least and greatest fraction at the ends and the middle of the bottom lines' intervals; None if no
            part's number follows from a bottom line.
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
    """Makes a part, with its fraction of the gap; the fraction is None if the gap is zero."""
    fraction = float(share) / total if abs(total) > POINT_TOLERANCE else None
    return Part(name, str(event), values, sources, float(share), fraction, span)


@dataclass(frozen=True)
class Gap:
    """The difference between two people's numbers, split into parts.

    Args:
        people: the ids of the two people; the gap is the second person's number minus the first person's.
        target, given: the two events of P(target | given), as texts.
        cut, text, form, scale, method: the cut's id, description and form, and the scale and method of the split.
        ends: each person's probability of the target.
        total: the gap on the scale, which the parts share.
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
    def largest_part(self) -> Part:
        """The part whose share is largest in absolute size."""
        return max(self.parts, key=lambda part: abs(part.share))


def split_by_shared_claims(
    argument: Argument, first_person: str, second_person: str, target: str | Event | None, scale: str, *, method: str
) -> Gap:
    """Splits the gap by shared claims; a claim is shared if both people state the same event and condition.

    Args:
        argument: the crux file, as `load_argument` returns it.
        first_person, second_person: the ids of the two people; the gap is the number of `second_person` minus that of
            `first_person`.
        target: an event; by default the target of the file's query.
        scale: the scale of the shares ('prob', 'log' or 'logodds' of the target).
        method: the method of the split, which must be 'shapley'.

    Both people's answers are to the same question (see `choose_common_question`). Each shared claim is a player of a
    Shapley game, and has one of the two people's values. The rest (vocabulary, bridges and claims of one person only)
    is one more player, so the shares always add up to the gap.
    """
    if method != "shapley":
        raise MesascopeError(f"The method {method!r} needs a cut of the file.", "Use --method shapley, or add [cuts].")
    people = first_person, second_person
    questions = [argument.choose_common_question(people, target)] * 2
    polytopes = [argument.build_polytope(person) for person in people]
    relevant_claims = [
        polytope.select_connected(conjoin(*question).atoms).constraints
        for polytope, question in zip(polytopes, questions, strict=True)
    ]
    claim_pairs = list(product(*relevant_claims))
    claim_pairs = [(a, b) for a, b in claim_pairs if are_equivalent(a.condition, b.condition)]
    claim_pairs = [(a, b) for a, b in claim_pairs if are_equivalent(a.event, b.event)]
    if len(claim_pairs) > MAX_SHARED_CLAIMS:
        problem = f"{len(claim_pairs)} claims are shared; at most {MAX_SHARED_CLAIMS} can be split without a cut."
        raise MesascopeError(problem, "Add [cuts] to the file.")
    n = len(claim_pairs)
    values = np.empty(2 ** (n + 1))
    for coalition in range(len(values)):
        side = (coalition >> n) & 1
        person, (target_event, condition) = people[side], questions[side]
        intervals: dict[str, tuple[float, float]] = {}
        for i, claim_pair in enumerate(claim_pairs):
            source = claim_pair[(coalition >> i) & 1]
            intervals.setdefault(claim_pair[side].id, (source.low, source.high))
        answer = answer_question(person, polytopes[side].replace_intervals(intervals), target_event, condition)
        if answer.interval is None:
            problem = "The two people's shared claims cannot be exchanged: the rest contradicts them."
            raise MesascopeError(problem, "Add [cuts] to the file.")
        if answer.status == "unstated" and coalition in (0, len(values) - 1):
            problem = f"{person}'s claims do not bound {target_event}, so there is no gap."
            raise MesascopeError(problem, f"Choose another target, or add a claim of {person} or a bridge.")
        values[coalition] = sum(answer.interval) / 2
    shares = compute_shapley_values(convert_to_scale(values, scale))
    scaled = convert_to_scale(values[[0, -1]], scale)
    total = float(scaled[1] - scaled[0])
    parts = []
    for (a, b), share in zip(claim_pairs, shares, strict=False):
        first, second = (c.low if c.low == c.high else None for c in (a, b))
        sources = ("stated or implied", "stated or implied")
        parts.append(make_part(f"{a.id} / {b.id}", a.event, (first, second), sources, share, total=total))
    event, condition = questions[0]
    parts.append(make_part(REST_LABEL, event, (None, None), ("rest", "rest"), shares[-1], total=total))
    notes = ["each bottom line is the middle of its bounds", "claims are shared if event and condition are the same"]
    for a, b in claim_pairs:
        if a.low != a.high or b.low != b.high:
            notes.append(f"{a.id} is [{a.low:.4g}, {a.high:.4g}], {b.id} is [{b.low:.4g}, {b.high:.4g}]")
    question, cut = (str(event), str(condition)), (SHARED_CUT, "the claims that both state", "shared")
    ends = float(values[0]), float(values[-1])
    return Gap(people, *question, *cut, scale, method, ends, total, 0.0, tuple(parts), tuple(notes))
