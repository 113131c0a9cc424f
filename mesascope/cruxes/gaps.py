"""Where two people differ: their gap on a target, cut by a split of the file or by the claims they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mesascope.cruxes.answers import POINT, solve, take_point
from mesascope.cruxes.board import Board
from mesascope.cruxes.bounds import Constraint, Polytope
from mesascope.cruxes.claims import Bottom, Split
from mesascope.cruxes.disagreement import decompose, product, put_on_scale, share_shapley
from mesascope.cruxes.language import SURE, Event, join, same
from mesascope.cruxes.readings import read_value
from mesascope.errors import MesascopeError, unknown

SHARED = "shared claims"
REST = "vocabulary, bridges and what only one of them states"
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
    gaps = tuple(explain_gap(board, one, other, split=name, scale=scale, method=method, groups=groups) for name in names)
    warnings = []
    for i, first in enumerate(gaps):
        for second in gaps[i + 1:]:
            a, b = board.event(first.top.event).atoms(), board.event(second.top.event).atoms()
            if not (a <= b or b <= a):
                warnings.append(f"which part matters most depends on the split: {first.top.name!r} by {first.split!r}, "
                                f"{second.top.name!r} by {second.split!r}")
    for gap in gaps:
        if gap.split != SHARED:
            for what, values in (("scale", ("prob", "log", "logodds")), ("method", ("shapley", "oat", "oat-back"))):
                tops = {}
                for value in values:
                    settings = {"scale": scale, "method": method, **{what: value}}
                    try:
                        again = explain_gap(board, one, other, split=gap.split, groups=groups, **settings)
                    except MesascopeError:
                        continue
                    tops.setdefault(again.top.name, []).append(value)
                if len(tops) > 1:
                    told = ", ".join(f"{name!r} by {' and '.join(by)}" for name, by in tops.items())
                    warnings.append(f"in the split {gap.split!r} the largest part depends on the {what}: {told}")
    filings = []
    for filing in board.content.filings.values():
        for gap in gaps:
            if gap.split == filing.split and gap.total:
                for label, parts in filing.options.items():
                    whole = sum(p.share for p in gap.parts if p.name in parts)
                    filings.append((filing.id, label, whole / gap.total))
    return GapReport(gaps, tuple(warnings), tuple(filings))


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
    if split not in board.content.splits:
        raise unknown("split", split, [*board.content.splits, SHARED])
    cut = board.content.splits[split]
    sides = [_read_parts(board, person, cut) for person in (one, other)]
    chosen = groups or cut.groups
    shares = _share(cut, sides, scale, method, chosen)
    spans = _spans(board, (one, other), cut, scale, method, chosen)
    sign = -1.0 if cut.form == "complement" else 1.0
    products = [float(np.prod(values)) for values, _, _ in sides]
    ends = tuple(1 - p if cut.form == "complement" else p for p in products)
    scaled = put_on_scale(np.array(products if scale == "log" else ends), scale)
    total = float(scaled[1] - scaled[0])
    if scale != "log":
        shares = shares * sign
    remainder = total - float(shares.sum())
    parts = []
    for i, (name, event) in enumerate(cut.parts.items()):
        fraction = float(shares[i]) / total if abs(total) > POINT else None
        parts.append(Part(name, str(event), (sides[0][0][i], sides[1][0][i]), (sides[0][1][i], sides[1][1][i]),
                          float(shares[i]), fraction, spans[i] if spans else None))
    assumptions = [f"{cut.target} is {'1 minus ' if cut.form == 'complement' else ''}the product of the parts, each given "
                   f"the parts before it" + (f" and {cut.given}" if cut.given is not SURE else "")]
    if scale == "log":
        assumptions.append(f"shares are of ln {'(1 − ' + str(cut.target) + ')' if cut.form == 'complement' else cut.target}")
    for side in sides:
        assumptions += side[2]
    if any("assumed" in source for side in sides for source in side[1]) and cut.why:
        assumptions.append(f"the modeller assumes: {cut.why}")
    if method == "owen":
        assumptions.append("groups kept together: " + "; ".join(" + ".join(g) for g in _complete(chosen, list(cut.parts))))
    return Gap((one, other), str(cut.target), str(cut.given), cut.id, cut.text, cut.form, scale, method,
               (ends[0], ends[1]), total, 0.0 if abs(remainder) < 1e-9 else remainder, tuple(parts),
               tuple(dict.fromkeys(assumptions)))


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


def _share(cut: Split, sides: list[tuple[list[float], list[str], list[str]]], scale: str, method: str,
           groups: Sequence[Sequence[str]]) -> np.ndarray:
    names = list(cut.parts)
    numbers = [[names.index(n) for n in g] for g in _complete(groups, names)]
    a, b = np.array(sides[0][0]), np.array(sides[1][0])
    return decompose(product, a, b, method, scale, numbers)


def _spans(board: Board, people: tuple[str, str], cut: Split, scale: str, method: str,
           groups: Sequence[Sequence[str]]) -> list[tuple[float, float]]:
    resting = [p for p in people if "rest" in cut.assume.get(p, {}).values()]
    if not resting:
        return []
    fractions = []
    for at in ("low", "middle", "high"):
        try:
            sides = [_read_parts(board, p, cut, at if p in resting else None) for p in people]
            shares = _share(cut, sides, scale, method, groups)
        except MesascopeError:
            continue
        if abs(shares.sum()) > POINT:
            fractions.append(shares / shares.sum())
    table = np.array(fractions)
    return [(float(lo), float(hi)) for lo, hi in zip(table.min(axis=0), table.max(axis=0), strict=True)]


def read_bottom(board: Board, person: str, cut: Split, at: str | None = None) -> tuple[float, str]:
    """A person's number on a split's target, and the line at which it was read."""
    bottom = board.content.bottom.get(person, Bottom())
    view = board.read(reflective=board.conventions.reflective or bottom.reflective,
                      bridges=tuple(dict.fromkeys((*board.conventions.bridges, *bottom.bridges))))
    query = board.content.query
    given = query.given.get(person, SURE) if query else SURE
    answer = view.answer(person, cut.target, given, wordings=False)
    at = at or bottom.at
    value = take_point(answer, at)
    if not answer.usable or answer.status == "unstated":
        raise MesascopeError(f"{person} says nothing that bounds {cut.target}.", "Choose another split.")
    told = f"{person}'s bottom line is read at the {at} of [{answer.low:.4g}, {answer.high:.4g}]"
    told += f", with {', '.join(bottom.bridges)} switched on" if bottom.bridges else ""
    return value, told + (", on reflection" if bottom.reflective else "")


def _read_parts(board: Board, person: str, cut: Split, at: str | None = None
                ) -> tuple[list[float], list[str], list[str]]:
    values: list[float] = []
    sources: list[str] = []
    notes: list[str] = []
    resting, before = None, cut.given
    assumed = cut.assume.get(person, {})
    for i, (name, event) in enumerate(cut.parts.items()):
        if assumed.get(name) == "rest":
            resting = i
            values.append(1.0)
            sources.append("rest")
        elif name in assumed:
            centre = read_value(assumed[name]).centre
            assert centre is not None
            values.append(centre)
            sources.append("assumed by the modeller")
        else:
            values.append(_own_number(board, person, name, event, before, notes))
            sources.append("stated or implied")
        before = join(before, event)
    if resting is not None:
        bottom, told = read_bottom(board, person, cut, at)
        notes.append(told)
        whole = 1 - bottom if cut.form == "complement" else bottom
        others = float(np.prod(values))
        values[resting] = whole / others if others else np.inf
        if not 0 <= values[resting] <= 1 + 1e-9:
            raise MesascopeError(f"What is left for {person} in the split {cut.id!r} is {values[resting]:.4g}.",
                                 "Its assumptions contradict the bottom line; change them.")
    return values, sources, notes


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
