"""Where two people differ: their gap on a target, cut by a split of the file or by the claims they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mesascope.cruxes.answers import POINT, Answer, solve, take_point
from mesascope.cruxes.board import Board
from mesascope.cruxes.bounds import Constraint, Polytope
from mesascope.cruxes.claims import Bottom, Split
from mesascope.cruxes.disagreement import decompose, product, put_on_scale, share_shapley
from mesascope.cruxes.language import SURE, Event, join, same
from mesascope.cruxes.readings import read_value
from mesascope.errors import MesascopeError, unknown

SHARED = "shared claims"
REST = "vocabulary, bridges and what only one of them states"
ASSUMED = "assumed by the modeller"
MOST_SHARED = 6


@dataclass(frozen=True)
class Part:
    """One part of a gap.

    Args:
        name, event: what it is.
        values: each person's number for it, given the parts before it; None for a remainder.
        sources: where each number comes from: 'stated or implied', 'assumed by the modeller', 'rest'.
        share: its part of the gap, on the gap's scale; fraction: of the whole.
        span: the least and greatest fraction as a bottom line goes through its interval.
    """

    name: str
    event: str
    values: tuple[float | None, float | None]
    sources: tuple[str, str]
    share: float
    fraction: float | None
    span: tuple[float, float] | None = None


@dataclass(frozen=True)
class Gap:
    """The difference between two people, in parts.

    Args:
        people: from, to.
        ends: each one's number on the target; total: their difference on the scale, the sum of the shares
            (for one at a time, which need not add up, `remainder` is what is missing).
        split, form, scale, method: how it was cut.
        assumptions: printed with it.
    """

    people: tuple[str, str]
    target: str
    given: str
    split: str
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


@dataclass(frozen=True)
class GapReport:
    """The gap under every split of the file, with warnings where the ranking depends on the cut."""

    gaps: tuple[Gap, ...]
    warnings: tuple[str, ...]
    filings: tuple[tuple[str, str, float], ...]


def explain_splits(board: Board, one: str | None = None, other: str | None = None, scale: str = "prob",
                   method: str = "shapley", split: str | None = None,
                   groups: Sequence[Sequence[str]] = ()) -> GapReport:
    """The gap under every split of the file (or the one named; or by shared claims where the file has none).

    Args:
        board: the board.
        one, other: the two people; the file's pair where left out.
        scale, method, groups: see `explain_gap`.
        split: only this split.

    Returns a `GapReport`; warnings name each dependence of the largest part on split, scale or method.
    """
    names = [split] if split else list(board.content.splits) or [SHARED]
    people = _pair(board, one, other)
    gaps, warnings = [], []
    for name in names:
        if name == SHARED:
            gaps.append(_explain_shared(board, *people, None, scale, method))
            continue
        cut = _find_split(board, name)
        sides = [_read_side(board, person, cut) for person in people]
        gaps.append(_cut_gap(people, cut, sides, scale, method, groups))
        for what, values in (("scale", ("prob", "log", "logodds")), ("method", ("shapley", "oat", "oat-back"))):
            tops: dict[str, list[str]] = {}
            for value in values:
                settings = {"scale": scale, "method": method, what: value}
                try:
                    again = _cut_gap(people, cut, sides, settings["scale"], settings["method"], groups)
                except MesascopeError:
                    continue
                tops.setdefault(again.top.name, []).append(value)
            if len(tops) > 1:
                told = ", ".join(f"{top!r} by {' and '.join(by)}" for top, by in tops.items())
                warnings.append(f"in the split {name!r} the largest part depends on the {what}: {told}")
    for i, first in enumerate(gaps):
        for second in gaps[i + 1:]:
            a, b = board.event(first.top.event).atoms(), board.event(second.top.event).atoms()
            if not (a <= b or b <= a):
                warnings.append(f"which part matters most depends on the split: {first.top.name!r} by {first.split!r}, "
                                f"{second.top.name!r} by {second.split!r}")
    filings = []
    for filing in board.content.filings.values():
        for gap in gaps:
            if gap.split == filing.split and abs(gap.total) > POINT:
                for label, parts in filing.options.items():
                    whole = sum(p.share for p in gap.parts if p.name in parts)
                    filings.append((filing.id, label, whole / gap.total))
    return GapReport(tuple(gaps), tuple(warnings), tuple(filings))


def explain_gap(board: Board, one: str | None = None, other: str | None = None, target: str | Event | None = None,
                scale: str = "prob", method: str = "shapley", split: str | None = None,
                groups: Sequence[Sequence[str]] = ()) -> Gap:
    """The difference between two people, in shares that add up.

    Args:
        board: the board.
        one, other: from whom to whom; the file's pair where left out.
        target: an event, for a cut by shared claims; a split has its own.
        scale: 'prob' (of the target), 'log' (of the product of the parts) or 'logodds' (of the target).
        method: 'shapley', 'owen', 'oat', 'oat-back', 'lmdi' or 'path'.
        split: a split of the file; left out: the shared claims and one remainder.
        groups: names of parts to keep together, for 'owen'; the split's own where left out.

    Swapping the two people changes the sign of every share and nothing else (but for one at a time).
    """
    one, other = _pair(board, one, other)
    if split in (None, SHARED):
        return _explain_shared(board, one, other, target, scale, method)
    cut = _find_split(board, split)
    return _cut_gap((one, other), cut, [_read_side(board, p, cut) for p in (one, other)], scale, method, groups)


def _find_split(board: Board, name: str) -> Split:
    if name not in board.content.splits:
        raise unknown("split", name, [*board.content.splits, SHARED])
    return board.content.splits[name]


@dataclass(frozen=True)
class _Side:
    """One person's numbers for the parts of a split; the part left for the rest, if any, is None."""

    person: str
    values: tuple[float | None, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    bottom: tuple[float, float] | None
    at: str

    def numbers(self, cut: Split, at: str | None = None) -> np.ndarray:
        """All parts as numbers, with the bottom line read at its low end, middle or high end."""
        if self.bottom is None:
            return np.array(self.values, dtype=float)
        low, high = self.bottom
        line = {"low": low, "middle": (low + high) / 2, "high": high}[at or self.at]
        others = float(np.prod([v for v in self.values if v is not None]))
        left = ((1 - line) if cut.form == "complement" else line) / others if others else np.inf
        if not 0 <= left <= 1 + 1e-9:
            raise MesascopeError(f"What is left for {self.person} in the split {cut.id!r} is {left:.4g}.",
                                 "Its assumptions contradict the bottom line; change them.")
        return np.array([left if v is None else v for v in self.values], dtype=float)


def _cut_gap(people: tuple[str, str], cut: Split, sides: list[_Side], scale: str, method: str,
             groups: Sequence[Sequence[str]]) -> Gap:
    chosen = groups or cut.groups
    a, b = (side.numbers(cut) for side in sides)
    shares = _share(cut, a, b, scale, method, chosen)
    spans = _find_spans(cut, sides, scale, method, chosen)
    products = np.array([a.prod(), b.prod()])
    ends = 1 - products if cut.form == "complement" else products
    if cut.form == "complement" and scale != "log":
        shares = -shares
    scaled = put_on_scale(products if scale == "log" else ends, scale)
    total = float(scaled[1] - scaled[0])
    remainder = total - float(shares.sum())
    parts = []
    for i, (name, event) in enumerate(cut.parts.items()):
        fraction = float(shares[i]) / total if abs(total) > POINT else None
        parts.append(Part(name, str(event), (float(a[i]), float(b[i])), (sides[0].sources[i], sides[1].sources[i]),
                          float(shares[i]), fraction, spans[i] if spans else None))
    whole = f"1 − {cut.target}" if cut.form == "complement" else str(cut.target)
    under = f" and {cut.given}" if cut.given.operator != "sure" else ""
    notes = [f"{whole} is the product of the parts, each given the parts before it{under}"]
    if scale == "log":
        notes.append(f"shares are of ln({whole})")
    notes += [note for side in sides for note in side.notes]
    if any(source == ASSUMED for side in sides for source in side.sources) and cut.why:
        notes.append(f"the modeller assumes: {cut.why}")
    if method == "owen":
        notes.append("kept together: " + "; ".join(" + ".join(g) for g in _complete(chosen, list(cut.parts))))
    return Gap(people, str(cut.target), str(cut.given), cut.id, cut.text, cut.form, scale, method,
               (float(ends[0]), float(ends[1])), total, 0.0 if abs(remainder) < 1e-9 else remainder, tuple(parts),
               tuple(dict.fromkeys(notes)))


def _pair(board: Board, one: str | None, other: str | None) -> tuple[str, str]:
    compare = board.content.query.compare if board.content.query else ()
    if one is None or other is None:
        if len(compare) < 2:
            raise MesascopeError("Two people are needed.", "Name them: crux gap --between ann,bob.")
        one, other = compare[0], compare[1]
    return board.person(one), board.person(other)


def _complete(groups: Sequence[Sequence[str]], names: list[str]) -> list[list[str]]:
    for name in (n for g in groups for n in g):
        if name not in names:
            raise unknown("part", name, names)
    return [list(g) for g in groups] + [[n] for n in names if all(n not in g for g in groups)]


def _share(cut: Split, a: np.ndarray, b: np.ndarray, scale: str, method: str,
           groups: Sequence[Sequence[str]]) -> np.ndarray:
    names = list(cut.parts)
    numbers = [[names.index(n) for n in g] for g in _complete(groups, names)]
    return decompose(product, a, b, method, scale, numbers)


def _find_spans(cut: Split, sides: list[_Side], scale: str, method: str,
                groups: Sequence[Sequence[str]]) -> list[tuple[float, float]]:
    if all(side.bottom is None for side in sides):
        return []
    fractions = []
    for at in ("low", "middle", "high"):
        try:
            shares = _share(cut, *(side.numbers(cut, at) for side in sides), scale, method, groups)
        except MesascopeError:
            continue
        if abs(shares.sum()) > POINT:
            fractions.append(shares / shares.sum())
    table = np.array(fractions)
    return [(float(lo), float(hi)) for lo, hi in zip(table.min(axis=0), table.max(axis=0), strict=True)]


def read_bottom(board: Board, person: str, cut: Split) -> tuple[Answer, str]:
    """A person's answer on a split's target under the file's [bottom], and the line at which it is read."""
    bottom = board.content.bottom.get(person, Bottom())
    view = board.read(reflective=board.conventions.reflective or bottom.reflective,
                      bridges=dict.fromkeys((*board.conventions.bridges, *bottom.bridges)))
    query = board.content.query
    answer = view.answer(person, cut.target, query.given.get(person, SURE) if query else SURE, wordings=False)
    if not answer.usable or answer.status == "unstated":
        raise MesascopeError(f"{person} says nothing that bounds {cut.target}.", "Choose another split.")
    told = f"{person}'s bottom line is read at the {bottom.at} of [{answer.low:.4g}, {answer.high:.4g}]"
    told += f", with {', '.join(bottom.bridges)} switched on" if bottom.bridges else ""
    return answer, told + (", on reflection" if bottom.reflective else "")


def _read_side(board: Board, person: str, cut: Split) -> _Side:
    values: list[float | None] = []
    sources: list[str] = []
    notes: list[str] = []
    before, assumed = cut.given, cut.assume.get(person, {})
    ends = None
    for name, event in cut.parts.items():
        if assumed.get(name) == "rest":
            answer, told = read_bottom(board, person, cut)
            assert answer.low is not None and answer.high is not None
            ends = (answer.low, answer.high)
            notes.append(told)
            values.append(None)
            sources.append("rest")
        elif name in assumed:
            values.append(read_value(assumed[name]).centre)
            sources.append(ASSUMED)
        else:
            values.append(_own_number(board, person, name, event, before, notes))
            sources.append("stated or implied")
        before = join(before, event)
    return _Side(person, tuple(values), tuple(sources), tuple(notes), ends,
                 board.content.bottom.get(person, Bottom()).at)


def _own_number(board: Board, person: str, name: str, event: Event, given: Event, notes: list[str]) -> float:
    if board.refusal(person, event):
        raise MesascopeError(f"{person} declines the question {name!r}.", f'Assume "rest" for {person} in the split.')
    for engine in ("net", "lp"):
        try:
            answer = board.answer(person, event, given, engine=engine, wordings=False)
        except MesascopeError:
            continue
        if answer.point is not None:
            if engine == "net":
                notes.append(f"{person}'s parts are read with independence as in a network")
            return answer.point
    raise MesascopeError(f"{person} states no one number for {name!r} ({event} given {given}).",
                         f'Write assume = {{ {person} = {{ {name} = "…" }} }} in the split, or "rest".')


def _explain_shared(board: Board, one: str, other: str, target: str | Event | None, scale: str, method: str) -> Gap:
    if method != "shapley":
        raise MesascopeError(f"The method {method!r} needs a split of the file.", "Use --method shapley, or add [splits].")
    questions = [board.default_question(p, target, None) for p in (one, other)]
    models = [board.polytope(p) for p in (one, other)]
    parts = [m.part(q[0].atoms() | q[1].atoms()) for m, q in zip(models, questions, strict=True)]
    pairs = [(a, b) for a in parts[0].constraints for b in parts[1].constraints
             if same(a.given, b.given) and same(a.event, b.event)]
    if len(pairs) > MOST_SHARED:
        raise MesascopeError(f"{len(pairs)} claims are shared; at most {MOST_SHARED} are cut without a split.",
                             "Add [splits] to the file.")
    n = len(pairs)
    values = np.empty(2 ** (n + 1))
    for code in range(len(values)):
        side = (code >> n) & 1
        swapped: list[Constraint] = []
        for c in models[side].constraints:
            index = next((i for i, pair in enumerate(pairs) if pair[side] is c), None)
            if index is not None:
                source = pairs[index][(code >> index) & 1]
                c = replace(c, low=source.low, high=source.high)
            swapped.append(c)
        answer = solve((one, other)[side], Polytope(swapped, models[side].rules), *questions[side])
        if not answer.usable:
            raise MesascopeError("The two people's shared claims cannot be exchanged: they contradict the rest.",
                                 "Add [splits] to the file.")
        values[code] = take_point(answer)
    shares = share_shapley(put_on_scale(values, scale))
    scaled = put_on_scale(values[[0, -1]], scale)
    total = float(scaled[1] - scaled[0])
    found = [Part(f"{a.id} / {b.id}", str(a.event), ((a.low + a.high) / 2, (b.low + b.high) / 2),
                  ("stated or implied", "stated or implied"), float(share),
                  float(share) / total if abs(total) > POINT else None)
             for (a, b), share in zip(pairs, shares, strict=False)]
    found.append(Part(REST, str(questions[0][0]), (None, None), ("rest", "rest"), float(shares[-1]),
                      float(shares[-1]) / total if abs(total) > POINT else None))
    notes = ["each bottom line is the middle of its bounds", "claims count as shared where event and condition are the same"]
    if not same(questions[0][1], questions[1][1]):
        notes.append(f"{one} is asked given {questions[0][1]}, {other} given {questions[1][1]}")
    return Gap((one, other), str(questions[0][0]), str(questions[0][1]), SHARED, "the claims that both state",
               "shared", scale, method, (float(values[0]), float(values[-1])), total, 0.0, tuple(found), tuple(notes))
