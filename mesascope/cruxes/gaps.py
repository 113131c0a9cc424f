"""Shows where two people differ: splits their gap on a target by a cut of the file or by shared claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mesascope.cruxes.answers import POINT_TOLERANCE, Answer
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.claims import BottomLine, Cut
from mesascope.cruxes.disagreement import SCALES, compute_product, convert_to_scale, decompose_gap
from mesascope.cruxes.language import SURE_EVENT, Event, conjoin
from mesascope.cruxes.readings import read_value
from mesascope.cruxes.shared_claims import SHARED_CUT, Gap, make_part, split_by_shared_claims
from mesascope.errors import MesascopeError, require_known_name

ASSUMED_SOURCE = "assumed by the modeller"

Groups = Sequence[Sequence[str]]
"""Lists of names of parts; the parts of one list are kept together."""


@dataclass(frozen=True)
class AnswerPair:
    """Two people's answers to one question.

    Args:
        target, given: the two events of P(target | given), as texts.
        people: the ids of the two people.
        answers: the two people's answers, in the order of `people`.
        difference: the least and the greatest difference (the second person's probability minus the first person's);
            None if one person has no answer.
        overlap: the interval of the probabilities that both answers allow; None if the answers do not overlap.
    """

    target: str
    given: str
    people: tuple[str, str]
    answers: tuple[Answer, Answer]
    difference: tuple[float, float] | None
    overlap: tuple[float, float] | None


@dataclass(frozen=True)
class GapReport:
    """Two people's answers as sets, and the gap between points of these sets under every cut of the file.

    Args:
        questions: the two people's answers to each question of the file, as sets.
        gaps: for each cut, the gap between two points, split into shares; empty if the gap is not split.
        warnings: sentences that warn if the two people speak under different scopes, or if the largest part depends on
            the cut, the scale or the method.
        filings: for each option of each remark on where the cruxes lie, the id of the remark, the option, and the
            fraction of the gap that the option's parts make up.
    """

    questions: tuple[AnswerPair, ...]
    gaps: tuple[Gap, ...]
    warnings: tuple[str, ...]
    filings: tuple[tuple[str, str, float], ...]


def explain_cuts(
    argument: Argument,
    first_person: str | None = None,
    second_person: str | None = None,
    scale: str = "prob",
    method: str = "shapley",
    *,
    cut: str | None = None,
    groups: Groups = (),
    should_use_points: bool = False,
) -> GapReport:
    """Compares two people's answers to the same questions; with `should_use_points`, splits the gap under every cut.

    Args:
        argument: the crux file, as `load_argument` returns it.
        first_person, second_person: the ids of the two people; by default the file's pair.
        scale, method, groups: see `explain_gap`.
        cut: the id of the only cut to use; by default all cuts, or shared claims if the file has no cuts.
        should_use_points: whether to replace each set by one point, chosen by the file's [bottom] table, and to split
            the gap between the points. It is False by default, because no claim supports such a point.

    Returns a `GapReport`.
    """
    names = [cut] if cut else list(argument.content.cuts) or [SHARED_CUT]
    people = argument.pick_pair(first_person, second_person)
    for name in names:
        require_known_name("cut", name, [*argument.content.cuts, SHARED_CUT])
    questions = _compare_answers(argument, people)
    gaps, warnings = [], []
    scopes = [" and ".join(argument.content.people[person].scope) or "no stated scope" for person in people]
    if scopes[0] != scopes[1]:
        speakers = ", ".join(f"{person} speaks under {scope}" for person, scope in zip(people, scopes, strict=True))
        warnings.append(f"{speakers}: part of any difference may be due to scope")
    for name in names if should_use_points else []:
        if name == SHARED_CUT:
            gaps.append(split_by_shared_claims(argument, *people, None, scale, method=method))
            continue
        chosen_cut, sides = _prepare_cut(argument, people, name)
        gaps.append(_split_gap(people, chosen_cut, sides, scale, method, groups=groups))
        for option, values in (("scale", SCALES), ("method", ("shapley", "oat", "oat-back"))):
            values_by_top: dict[str, list[str]] = {}
            for value in values:
                settings = {"scale": scale, "method": method, option: value}
                with suppress(MesascopeError):
                    gap = _split_gap(people, chosen_cut, sides, **settings, groups=groups)
                    values_by_top.setdefault(gap.largest_part.name, []).append(value)
            if len(values_by_top) > 1:
                listing = ", ".join(f"{top_name!r} by {' and '.join(by)}" for top_name, by in values_by_top.items())
                warnings.append(f"in the cut {name!r} the largest part depends on the {option}: {listing}")
    for first, second in combinations(gaps, 2):
        a, b = (
            argument.parse_event(first.largest_part.event).atoms,
            argument.parse_event(second.largest_part.event).atoms,
        )
        if not (a <= b or b <= a):
            parts = ", ".join(f"{gap.largest_part.name!r} by {gap.cut!r}" for gap in (first, second))
            warnings.append(f"which part matters most depends on the cut: {parts}")
    filings = tuple(
        (filing.id, label, sum(p.share for p in gap.parts if p.name in parts) / gap.total)
        for filing in argument.content.filings.values()
        for gap in gaps
        if gap.cut == filing.cut and abs(gap.total) > POINT_TOLERANCE
        for label, parts in filing.options.items()
    )
    return GapReport(questions, tuple(gaps), tuple(warnings), filings)


def _compare_answers(argument: Argument, people: tuple[str, str]) -> tuple[AnswerPair, ...]:
    """Answers the file's target for two people, without a condition and under each condition of the file's query."""
    target, condition = argument.choose_question(people[0])
    conditions = {str(c): c for c in (SURE_EVENT, condition, argument.find_query_condition(people[1]))}
    questions = []
    for condition in conditions.values():
        first, second = (argument.answer(person, target, condition) for person in people)
        difference = overlap = None
        if first.interval and second.interval:
            (low, high), (other_low, other_high) = first.interval, second.interval
            difference = other_low - high, other_high - low
            shared = max(low, other_low), min(high, other_high)
            overlap = shared if shared[0] <= shared[1] else None
        questions.append(AnswerPair(str(target), str(condition), people, (first, second), difference, overlap))
    return tuple(questions)


def explain_gap(
    argument: Argument,
    first_person: str | None = None,
    second_person: str | None = None,
    target: str | Event | None = None,
    scale: str = "prob",
    *,
    method: str = "shapley",
    cut: str | None = None,
    groups: Groups = (),
) -> Gap:
    """Splits the difference between two people's numbers for a target into shares.

    Args:
        argument: the crux file, as `load_argument` returns it.
        first_person, second_person: the ids of the two people, by default the file's pair; the gap is the number of
            `second_person` minus that of `first_person`.
        target: an event, used for shared claims; a cut of the file has its own target.
        scale: the scale of the gap, which is 'prob' or 'logodds' of the target, or 'log' of the product of a cut's
            parts (with shared claims, of the target).
        method: a method of `decompose_gap`; shared claims allow only 'shapley'.
        cut: the id of a cut of the file; by default the gap is split by shared claims, with one remainder.
        groups: names of parts to keep together, for 'owen'; by default the cut's own groups.

    Except with 'oat' and 'oat-back', the shares add up to the gap, and every share only changes its sign if the two
    people are swapped.
    """
    people = argument.pick_pair(first_person, second_person)
    if cut is None or cut == SHARED_CUT:
        return split_by_shared_claims(argument, *people, target, scale, method=method)
    return _split_gap(people, *_prepare_cut(argument, people, cut), scale, method, groups=groups)


def _prepare_cut(argument: Argument, people: tuple[str, str], name: str) -> tuple[Cut, list[_CutNumbers]]:
    """Finds a cut of the file, and each person's numbers for its parts."""
    cut = argument.content.cuts[require_known_name("cut", name, [*argument.content.cuts, SHARED_CUT])]
    return cut, [_find_cut_numbers(argument, person, cut) for person in people]


@dataclass(frozen=True)
class _CutNumbers:
    """One person's numbers for the parts of a cut; the number of a part that the cut assumes to be "rest" is None."""

    person: str
    values: tuple[float | None, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    bottom_line: tuple[float, float] | None
    point: str

    def fill_rest(self, cut: Cut, point: str | None = None) -> np.ndarray:
        """Finds the numbers of all parts; the "rest" follows from one end or the middle of the bottom line."""
        if self.bottom_line is None:
            return np.array(self.values, dtype=float)
        low, high = self.bottom_line
        bottom_value = {"low": low, "middle": (low + high) / 2, "high": high}[point or self.point]
        product = float(np.prod([v for v in self.values if v is not None]))
        rest_value = ((1 - bottom_value) if cut.form == "complement" else bottom_value) / product if product else np.inf
        if not 0 <= rest_value <= 1 + 1e-9:
            problem = f"The rest of the cut {cut.id!r} would be {rest_value:.4g} for {self.person}."
            raise MesascopeError(problem, "The cut's assumptions contradict the bottom line; change them.")
        return np.array([rest_value if v is None else v for v in self.values], dtype=float)


def _split_gap(
    people: tuple[str, str], cut: Cut, sides: list[_CutNumbers], scale: str, method: str, *, groups: Groups
) -> Gap:
    names = list(cut.parts)
    all_groups = _complete_groups(groups or cut.groups, names)
    group_numbers = [[names.index(name) for name in group] for group in all_groups]

    def find_shares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return decompose_gap(compute_product, a, b, method, scale, groups=group_numbers)

    a, b = (side.fill_rest(cut) for side in sides)
    shares, spans = find_shares(a, b), _find_spans(cut, sides, find_shares)
    products = np.array([a.prod(), b.prod()])
    ends = 1 - products if cut.form == "complement" else products
    if cut.form == "complement" and scale != "log":
        shares = -shares
    scaled = convert_to_scale(products if scale == "log" else ends, scale)
    total = float(scaled[1] - scaled[0])
    remainder = total - float(shares.sum())
    parts = []
    for i, (name, event) in enumerate(cut.parts.items()):
        values, sources = (float(a[i]), float(b[i])), (sides[0].sources[i], sides[1].sources[i])
        parts.append(make_part(name, event, values, sources, shares[i], total=total, span=spans[i]))
    product_name = f"1 − {cut.target}" if cut.form == "complement" else str(cut.target)
    condition = f" and {cut.condition}" if cut.condition != SURE_EVENT else ""
    notes = [f"{product_name} is the product of the parts, each given the parts before it{condition}"]
    if scale == "log":
        notes.append(f"shares are of ln({product_name})")
    notes += [note for side in sides for note in side.notes]
    if any(source == ASSUMED_SOURCE for side in sides for source in side.sources) and cut.reason:
        notes.append(f"the modeller assumes: {cut.reason}")
    if method == "owen":
        notes.append("kept together: " + "; ".join(" + ".join(group) for group in all_groups))
    remainder = 0.0 if abs(remainder) < 1e-9 else remainder
    description = (str(cut.target), str(cut.condition), cut.id, cut.text, cut.form, scale, method)
    ends = float(ends[0]), float(ends[1])
    return Gap(people, *description, ends, total, remainder, tuple(parts), tuple(dict.fromkeys(notes)))


def _complete_groups(groups: Groups, names: list[str]) -> list[list[str]]:
    """Adds one more group for each part that belongs to no group."""
    grouped_names = [require_known_name("part", name, names) for group in groups for name in group]
    return [list(group) for group in groups] + [[name] for name in names if name not in grouped_names]


def _find_spans(
    cut: Cut, sides: list[_CutNumbers], find_shares: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Sequence[tuple[float, float] | None]:
    """Finds the least and greatest fraction of each part over the low end, middle and high end of the bottom line."""
    if all(side.bottom_line is None for side in sides):
        return [None] * len(cut.parts)
    fractions = []
    for point in ("low", "middle", "high"):
        with suppress(MesascopeError):
            shares = find_shares(*(side.fill_rest(cut, point) for side in sides))
            if abs(shares.sum()) > POINT_TOLERANCE:
                fractions.append(shares / shares.sum())
    table = np.array(fractions)
    return list(zip(table.min(axis=0).tolist(), table.max(axis=0).tolist(), strict=True))


def find_bottom_line(argument: Argument, person: str, cut: Cut) -> tuple[Answer, str]:
    """Finds a person's answer to the question that a cut splits, by the rule in the file's [bottom] table.

    Also returns a note, which names the point of the answer's interval and the bridges that the rule switches on.
    """
    bottom = argument.content.bottom.get(person, BottomLine())
    view = argument.read(
        reflective=argument.conventions.reflective or bottom.is_reflective,
        bridges=dict.fromkeys((*argument.conventions.bridges, *bottom.bridges)),
    )
    answer = view.answer(person, cut.target, cut.condition, should_add_variants=False)
    if not answer.interval or answer.status == "unstated":
        problem = f"{person}'s claims do not bound {cut.target} given {cut.condition}."
        remedy = "Run the command without --points, because there is no interval in which to choose a point."
        raise MesascopeError(problem, remedy)
    note = f"{person}'s bottom line is read at the {bottom.point} of [{answer.low:.4g}, {answer.high:.4g}]"
    note += f", with {', '.join(bottom.bridges)} switched on" if bottom.bridges else ""
    return answer, note + (", on reflection" if bottom.is_reflective else "")


def _find_cut_numbers(argument: Argument, person: str, cut: Cut) -> _CutNumbers:
    values: list[float | None] = []
    sources: list[str] = []
    notes: list[str] = []
    condition, assumed = cut.condition, cut.assumptions.get(person, {})
    ends = None
    for name, event in cut.parts.items():
        if assumed.get(name) == "rest":
            answer, note = find_bottom_line(argument, person, cut)
            ends = answer.interval
            notes.append(note)
            values.append(None)
            sources.append("rest")
        elif name in assumed:
            values.append(read_value(assumed[name]).centre)
            sources.append(ASSUMED_SOURCE)
        else:
            values.append(_find_number(argument, person, name, event, condition, notes=notes))
            sources.append("stated or implied")
        condition = conjoin(condition, event)
    point = argument.content.bottom.get(person, BottomLine()).point
    if ends is None:
        notes += _check_product(argument, person, cut, [v for v in values if v is not None])
    return _CutNumbers(person, tuple(values), tuple(sources), tuple(notes), ends, point)


def _check_product(argument: Argument, person: str, cut: Cut, values: list[float]) -> list[str]:
    """Checks that a person's answer allows the number that the parts give; returns a note with the bridges used."""
    answer, _ = find_bottom_line(argument, person, cut)
    product = float(np.prod(values))
    end = 1 - product if cut.form == "complement" else product
    if answer.interval and not answer.interval[0] - POINT_TOLERANCE <= end <= answer.interval[1] + POINT_TOLERANCE:
        problem = f"The parts of the cut {cut.id!r} give {end:.4g} for {person}, whose answer is {answer.interval}."
        raise MesascopeError(problem, "Change the cut's parts, or its assumptions.")
    bridges = argument.content.bottom.get(person, BottomLine()).bridges
    note = f"{person}'s bottom line is the product of the parts"
    return [note + (f", with {', '.join(bridges)} switched on" if bridges else "")]


def _find_number(
    argument: Argument, person: str, name: str, event: Event, condition: Event, *, notes: list[str]
) -> float:
    if argument.find_refusal(person, event):
        remedy = f'Write "rest" for {person} in the cut\'s assume.'
        raise MesascopeError(f"{person} declines the question {name!r}.", remedy)
    for engine in ("net", "lp"):
        with suppress(MesascopeError):
            point = argument.answer(person, event, condition, engine=engine, should_add_variants=False).point
            if point is not None:
                if engine == "net":
                    notes.append(f"{person}'s parts are read with independence as in a network")
                return point
    problem = f"{person}'s claims give no single number for {name!r} ({event} given {condition})."
    raise MesascopeError(problem, f'Write assume = {{ {person} = {{ {name} = "…" }} }} in the cut, or "rest".')
