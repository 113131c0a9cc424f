"""Shows where two people differ: splits their gap on a target by a cut of the file or by shared claims."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mesascope.cruxes.answers import POINT_TOLERANCE, Answer
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.claims import BottomLine, Cut
from mesascope.cruxes.disagreement import SCALES, convert_to_scale, decompose, product
from mesascope.cruxes.language import SURE, Event, conjoin
from mesascope.cruxes.readings import read_value
from mesascope.cruxes.shared_claims import SHARED_CUT, Gap, explain_shared, make_part
from mesascope.errors import MesascopeError, pick_named

ASSUMED_SOURCE = "assumed by the modeller"


@dataclass(frozen=True)
class GapReport:
    """The gap under every cut of the file.

    Args:
        gaps: the split gap, once per cut.
        warnings: whether the largest part depends on the cut, the scale or the method.
        filings: (id of the remark, option, share of the gap that the option's parts have).
    """

    gaps: tuple[Gap, ...]
    warnings: tuple[str, ...]
    filings: tuple[tuple[str, str, float], ...]


def explain_cuts(
    argument: Argument,
    one: str | None = None,
    other: str | None = None,
    scale: str = "prob",
    method: str = "shapley",
    *,
    cut: str | None = None,
    groups: Sequence[Sequence[str]] = (),
) -> GapReport:
    """Split the gap under every cut of the file, or by shared claims if the file has no cuts.

    Args:
        argument: the argument.
        one, other: the two people; by default the file's pair.
        scale, method, groups: see `explain_gap`.
        cut: the only cut to use; by default all cuts.

    Returns a `GapReport`, which warns if the largest part depends on the cut, the scale or the method.
    """
    names = [cut] if cut else list(argument.content.cuts) or [SHARED_CUT]
    people = argument.pick_pair(one, other)
    gaps, warnings = [], []
    for name in names:
        if name == SHARED_CUT:
            gaps.append(explain_shared(argument, *people, None, scale, method=method))
            continue
        chosen_cut = _find_cut(argument, name)
        sides = [_find_cut_numbers(argument, person, chosen_cut) for person in people]
        gaps.append(_split_gap(people, chosen_cut, sides, scale, method, groups=groups))
        for option, values in (("scale", SCALES), ("method", ("shapley", "oat", "oat-back"))):
            tops: dict[str, list[str]] = {}
            for value in values:
                settings = {"scale": scale, "method": method, option: value}
                with suppress(MesascopeError):
                    gap = _split_gap(people, chosen_cut, sides, **settings, groups=groups)
                    tops.setdefault(gap.top.name, []).append(value)
            if len(tops) > 1:
                listing = ", ".join(f"{top!r} by {' and '.join(by)}" for top, by in tops.items())
                warnings.append(f"in the cut {name!r} the largest part depends on the {option}: {listing}")
    for first, second in combinations(gaps, 2):
        a, b = argument.parse_event(first.top.event).atoms, argument.parse_event(second.top.event).atoms
        if not (a <= b or b <= a):
            warnings.append(
                f"which part matters most depends on the cut: {first.top.name!r} by {first.cut!r}, "
                f"{second.top.name!r} by {second.cut!r}"
            )
    filings = tuple(
        (filing.id, label, sum(p.share for p in gap.parts if p.name in parts) / gap.total)
        for filing in argument.content.filings.values()
        for gap in gaps
        if gap.cut == filing.cut and abs(gap.total) > POINT_TOLERANCE
        for label, parts in filing.options.items()
    )
    return GapReport(tuple(gaps), tuple(warnings), filings)


def explain_gap(
    argument: Argument,
    one: str | None = None,
    other: str | None = None,
    target: str | Event | None = None,
    scale: str = "prob",
    *,
    method: str = "shapley",
    cut: str | None = None,
    groups: Sequence[Sequence[str]] = (),
) -> Gap:
    """Split the difference between two people into shares that add up.

    Args:
        argument: the argument.
        one, other: the two people, by default the file's pair; the gap is the number of `other` minus that of `one`.
        target: an event, used for shared claims; a cut of the file has its own target.
        scale: 'prob' (of the target), 'log' (of the product of the parts) or 'logodds' (of the target).
        method: 'shapley', 'owen', 'oat', 'oat-back', 'lmdi' or 'path'.
        cut: a cut of the file; by default the gap is split by shared claims, with one remainder.
        groups: names of parts to keep together, for 'owen'; by default the cut's own groups.

    Swapping the two people only changes the sign of every share, except with 'oat' and 'oat-back'.
    """
    one, other = argument.pick_pair(one, other)
    if cut is None or cut == SHARED_CUT:
        return explain_shared(argument, one, other, target, scale, method=method)
    chosen = _find_cut(argument, cut)
    sides = [_find_cut_numbers(argument, person, chosen) for person in (one, other)]
    return _split_gap((one, other), chosen, sides, scale, method, groups=groups)


def _find_cut(argument: Argument, name: str) -> Cut:
    pick_named("cut", name, [*argument.content.cuts, SHARED_CUT])
    return argument.content.cuts[name]


@dataclass(frozen=True)
class _CutNumbers:
    """One person's numbers for the parts of a cut; the part that the cut assumes to be "rest", if any, is None."""

    person: str
    values: tuple[float | None, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    bottom: tuple[float, float] | None
    at: str

    def numbers(self, cut: Cut, at: str | None = None) -> np.ndarray:
        """The numbers of all parts; the rest follows from the bottom line, read at its low end, middle or high end."""
        if self.bottom is None:
            return np.array(self.values, dtype=float)
        low, high = self.bottom
        line = {"low": low, "middle": (low + high) / 2, "high": high}[at or self.at]
        product = float(np.prod([v for v in self.values if v is not None]))
        rest = ((1 - line) if cut.form == "complement" else line) / product if product else np.inf
        if not 0 <= rest <= 1 + 1e-9:
            raise MesascopeError(
                f"The rest of the cut {cut.id!r} would be {rest:.4g} for {self.person}.",
                "The cut's assumptions contradict the bottom line; change them.",
            )
        return np.array([rest if v is None else v for v in self.values], dtype=float)


def _split_gap(
    people: tuple[str, str],
    cut: Cut,
    sides: list[_CutNumbers],
    scale: str,
    method: str,
    *,
    groups: Sequence[Sequence[str]],
) -> Gap:
    chosen = groups or cut.groups
    a, b = (side.numbers(cut) for side in sides)
    shares = _find_shares(cut, a, b, scale, method, groups=chosen)
    spans = _find_spans(cut, sides, scale, method, chosen)
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
    condition = f" and {cut.given}" if cut.given != SURE else ""
    notes = [f"{product_name} is the product of the parts, each given the parts before it{condition}"]
    if scale == "log":
        notes.append(f"shares are of ln({product_name})")
    notes += [note for side in sides for note in side.notes]
    if any(source == ASSUMED_SOURCE for side in sides for source in side.sources) and cut.why:
        notes.append(f"the modeller assumes: {cut.why}")
    if method == "owen":
        notes.append("kept together: " + "; ".join(" + ".join(g) for g in _complete_groups(chosen, list(cut.parts))))
    return Gap(
        people,
        str(cut.target),
        str(cut.given),
        cut.id,
        cut.text,
        cut.form,
        scale,
        method,
        (float(ends[0]), float(ends[1])),
        total,
        0.0 if abs(remainder) < 1e-9 else remainder,
        tuple(parts),
        tuple(dict.fromkeys(notes)),
    )


def _complete_groups(groups: Sequence[Sequence[str]], names: list[str]) -> list[list[str]]:
    for name in (n for g in groups for n in g):
        pick_named("part", name, names)
    return [list(g) for g in groups] + [[n] for n in names if all(n not in g for g in groups)]


def _find_shares(
    cut: Cut, a: np.ndarray, b: np.ndarray, scale: str, method: str, *, groups: Sequence[Sequence[str]]
) -> np.ndarray:
    names = list(cut.parts)
    numbers = [[names.index(n) for n in g] for g in _complete_groups(groups, names)]
    return decompose(product, a, b, method, scale, groups=numbers)


def _find_spans(
    cut: Cut, sides: list[_CutNumbers], scale: str, method: str, groups: Sequence[Sequence[str]]
) -> Sequence[tuple[float, float] | None]:
    if all(side.bottom is None for side in sides):
        return [None] * len(cut.parts)
    fractions = []
    for at in ("low", "middle", "high"):
        with suppress(MesascopeError):
            a, b = (side.numbers(cut, at) for side in sides)
            shares = _find_shares(cut, a, b, scale, method, groups=groups)
            if abs(shares.sum()) > POINT_TOLERANCE:
                fractions.append(shares / shares.sum())
    table = np.array(fractions)
    return list(zip(table.min(axis=0).tolist(), table.max(axis=0).tolist(), strict=True))


def find_bottom_line(argument: Argument, person: str, cut: Cut) -> tuple[Answer, str]:
    """Find a person's answer on a cut's target as the file's [bottom] reads it, and a note that says how."""
    bottom = argument.content.bottom.get(person, BottomLine())
    view = argument.read(
        reflective=argument.conventions.reflective or bottom.reflective,
        bridges=dict.fromkeys((*argument.conventions.bridges, *bottom.bridges)),
    )
    query = argument.content.query
    answer = view.answer(person, cut.target, query.given.get(person, SURE) if query else SURE, wordings=False)
    if not answer.interval or answer.status == "unstated":
        raise MesascopeError(f"{person}'s claims do not bound {cut.target}.", "Choose another cut.")
    note = f"{person}'s bottom line is read at the {bottom.at} of [{answer.low:.4g}, {answer.high:.4g}]"
    note += f", with {', '.join(bottom.bridges)} switched on" if bottom.bridges else ""
    return answer, note + (", on reflection" if bottom.reflective else "")


def _find_cut_numbers(argument: Argument, person: str, cut: Cut) -> _CutNumbers:
    values: list[float | None] = []
    sources: list[str] = []
    notes: list[str] = []
    condition, assumed = cut.given, cut.assume.get(person, {})
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
    at = argument.content.bottom.get(person, BottomLine()).at
    return _CutNumbers(person, tuple(values), tuple(sources), tuple(notes), ends, at)


def _find_number(
    argument: Argument, person: str, name: str, event: Event, condition: Event, *, notes: list[str]
) -> float:
    if argument.find_refusal(person, event):
        raise MesascopeError(
            f"{person} declines the question {name!r}.", f'Write "rest" for {person} in the cut\'s assume.'
        )
    for engine in ("net", "lp"):
        with suppress(MesascopeError):
            point = argument.answer(person, event, condition, engine=engine, wordings=False).point
            if point is not None:
                if engine == "net":
                    notes.append(f"{person}'s parts are read with independence as in a network")
                return point
    raise MesascopeError(
        f"{person}'s claims give no single number for {name!r} ({event} given {condition}).",
        f'Write assume = {{ {person} = {{ {name} = "…" }} }} in the cut, or "rest".',
    )
