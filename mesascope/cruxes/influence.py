"""Which crux matters: for one person (value of information), and between two (value of discrimination)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes import information
from mesascope.cruxes.answers import POINT
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.credal import CredalNet
from mesascope.cruxes.language import SURE, Event, enumerate_worlds, join, literals, same
from mesascope.errors import MesascopeError, pick_named

INNER = "range over distributions that agree with the claims, found by search: an inner bound"


@dataclass(frozen=True)
class Triads:
    """P(U), P(U | C) and P(C) of one person: one row where they follow, many where only a set does.

    Args:
        rows: [m, 3] of (pu, puc, pc).
        engine: 'net' (one row, independence as in a network) or 'lp' (no independence, inner set).
    """

    rows: np.ndarray
    engine: str


@dataclass(frozen=True)
class Value:
    """The value of learning a crux.

    Args:
        low, high: in units of the base; equal where the triad is one.
        most: the greatest it could be (the entropy of the target, or the present disagreement).
        pu, puc, pc: the triad where it is one, else None.
    """

    crux: str
    people: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    most: float | None = None
    triads: tuple[tuple[float, float, float] | None, ...] = ()
    engine: str = ""
    reason: str = ""


def find_triads(
    argument: Argument, person: str, crux: Event, target: Event, given: Event, *, engine: str = "auto"
) -> Triads:
    """What a person's claims say of (P(U), P(U | C), P(C)), all under a condition.

    Args:
        argument: the argument.
        person: whose.
        crux, target, given: events.
        engine: 'net', 'lp', or 'auto' (a network where the claims form one that settles all three).
    """
    if engine in ("auto", "net"):
        try:
            network = CredalNet.about(argument.polytope(person), crux, target, given)
            spans, points = network.spans(), []
            for event, condition in ((target, given), (target, join(given, crux)), (crux, given)):
                settled = not np.any(network.relevant(event, condition) & (spans[:, 1] > spans[:, 0]))
                middle = network.evaluate(spans.mean(axis=1)[:, None], event, condition)[0]
                points.append(float(middle) if settled else np.nan)
            if np.isnan(points[1]) and points[2] == 0:
                points[1] = points[0]
            if np.isfinite(points).all():
                return Triads(np.array([points]), "net")
            if engine == "net":
                raise MesascopeError(
                    f"{person}'s network leaves {crux} open as a crux of {target}.", "Ask with --engine lp."
                )
        except MesascopeError:
            if engine == "net":
                raise
    polytope = argument.polytope(person)
    corners = polytope.explore([join(target, crux), join(target, Event("!", (crux,))), crux], given)
    if not len(corners):
        raise MesascopeError(
            f"{person}'s claims leave {target} given {given} without a value.", "See `crux check`."
        )
    rng = np.random.default_rng(7)
    mixes = rng.dirichlet(np.full(len(corners), 0.3), 2000) @ corners
    cells = np.concatenate([corners, mixes])
    pc = np.clip(cells[:, 2], 0, 1)
    pu = np.clip(cells[:, 0] + cells[:, 1], 0, 1)
    puc = np.where(pc > 0, np.clip(cells[:, 0] / np.where(pc > 0, pc, 1), 0, 1), pu)
    return Triads(np.stack([pu, puc, pc], axis=1), "lp")


def _information(triads: Triads, base: float, form: str) -> tuple[float, float, float]:
    pu, puc, pc = triads.rows.T
    pun = information.find_complements(triads.rows, certain=1 - 1e-12)
    values = np.asarray(information.value_information(pu, puc, pc, base, stated=pun, form=form))
    return float(values.min()), float(values.max()), float(information.measure_entropy(pu, base).max())


def default_cruxes(argument: Argument, person: str, target: Event, given: Event = SURE) -> dict[str, Event]:
    """The atoms and definitions that a person's statements tie to a target, less the target itself and the
    condition's own atoms.
    """
    part = argument.polytope(person).part(join(target, given).atoms())
    names: dict[str, Event] = {
        n: argument.event(n) for n in (*argument.content.atoms, *argument.content.definitions)
    }
    settled = literals(given) or {}
    claimed = {a for item in part.items for a in item.atoms}
    return {
        n: e
        for n, e in names.items()
        if e.atoms() <= claimed
        and not same(e, target)
        and n not in settled
        and argument.refusal(person, e) is None
    }


def rank_cruxes(
    argument: Argument,
    person: str,
    crux: str | None = None,
    target: str | None = None,
    given: str | None = None,
    *,
    base: float = 10.0,
    form: str = "log",
    engine: str = "auto",
) -> list[Value]:
    """The value of information of one crux, or of every candidate, largest first.

    Args:
        argument: the argument.
        person: whose belief.
        crux: an event, or several that exclude each other and leave nothing out, separated by ';'; every atom
            and definition tied to the target where left out.
        target, given: the question; the file's query where left out.
        base: of the logarithm; 10 gives dits.
        form: 'log', 'naive' or 'quadratic'.
        engine: 'auto', 'net' or 'lp'.

    Where the claims leave the triad open, `low` and `high` are a range, and an inner bound of it.
    """
    event, condition = argument.default_question(person, target, given)
    if crux is not None and ";" in crux:
        return [_value_states(argument, person, crux, event, condition, base=base)]
    if crux is not None:
        chosen = {crux: argument.event(crux)}
        refusal = argument.refusal(person, chosen[crux])
        if refusal:
            reason = f"declined: {refusal.reason}"
            return [Value(crux, (person,), triads=(None,), engine=engine, reason=reason)]
    else:
        chosen = default_cruxes(argument, person, event, condition)
    found = []
    for name, one in chosen.items():
        triads = find_triads(argument, person, one, event, condition, engine=engine)
        low, high, most = _information(triads, base, form)
        reason = "" if triads.engine == "net" or high - low < POINT else INNER
        found.append(Value(name, (person,), low, high, most, (_single(triads),), triads.engine, reason))
    return sorted(found, key=lambda v: -(v.high or 0.0))


def _value_states(
    argument: Argument, person: str, crux: str, target: Event, given: Event, *, base: float
) -> Value:
    states = [argument.event(part) for part in crux.split(";")]
    worlds = enumerate_worlds(sorted(join(*states).atoms()))
    if np.any(sum(s.holds(worlds).astype(int) for s in states) != 1):
        raise MesascopeError(
            f"The states {crux!r} overlap or leave something out.", "Example: 'T & C; T & !C; !T'."
        )
    if any(argument.refusal(person, s) for s in states):
        return Value(crux, (person,), triads=(None,), engine="net", reason="declined")
    chances, targets = [], []
    for state in states:
        weight = argument.answer(person, state, given, engine="net", wordings=False).point
        belief = argument.answer(person, target, join(given, state), engine="net", wordings=False).point
        if weight is None or (belief is None and weight > 0):
            raise MesascopeError(
                f"{person}'s network leaves {state} open as a crux of {target}.", "Choose other states."
            )
        chances.append(weight)
        targets.append(0.0 if belief is None else belief)
    value = information.value_information_states(targets, chances, base)
    most = float(information.measure_entropy(float(np.dot(targets, chances)), base))
    return Value(crux, (person,), value, value, most, (None,), "net")


def compare_crux(
    argument: Argument,
    one: str | None = None,
    other: str | None = None,
    crux: str | None = None,
    target: str | None = None,
    *,
    base: float = 10.0,
    weights: str = "gmo",
    form: str = "log",
    engine: str = "auto",
) -> list[Value]:
    """The value of discrimination of one crux, or of every candidate that both people can be asked about.

    Args:
        argument: the argument.
        one, other: the two people; the file's pair where left out.
        crux, target, base, engine: see `rank_cruxes`.
        weights: 'gmo' or 'mean'.
        form: 'log' (symmetric KL) or 'naive' (absolute differences, which stay finite).

    Negative values mean that learning the crux is expected to drive them apart.
    """
    pick_named("form", form, ("log", "naive"))
    pick_named("weights", weights, ("gmo", "mean"))
    people = argument.pair(one, other)
    questions = [argument.default_question(p, target, None) for p in people]
    if crux is not None:
        chosen = {crux: argument.event(crux)}
    else:
        sides = [default_cruxes(argument, p, *q) for p, q in zip(people, questions, strict=True)]
        chosen = {n: e for n, e in sides[0].items() if n in sides[1]}
    found = []
    for name, event in chosen.items():
        declined = [p for p in people if argument.refusal(p, event)]
        if declined:
            reason = f"declined by {declined[0]}"
            found.append(Value(name, people, triads=(None, None), engine=engine, reason=reason))
            continue
        triads = [
            find_triads(argument, p, event, *q, engine=engine) for p, q in zip(people, questions, strict=True)
        ]
        found.append(_discriminate(name, people, triads, base, weights, form=form))
    return sorted(found, key=lambda v: -(v.high if v.high is not None else -np.inf))


def _discriminate(
    name: str, people: tuple[str, str], triads: Sequence[Triads], base: float, weights: str, *, form: str
) -> Value:
    rng = np.random.default_rng(11)
    a, b = (t.rows for t in triads)
    if len(a) * len(b) > 1:
        a, b = a[rng.integers(0, len(a), 4000)], b[rng.integers(0, len(b), 4000)]
    values = information.value_discriminations(_agree(a), _agree(b), base, weights, form)
    apart = abs(a[:, 0] - b[:, 0]) if form == "naive" else information.measure_skl(a[:, 0], b[:, 0], base)
    kept = ~np.isnan(values)
    singles = tuple(_single(t) for t in triads)
    engine = "/".join(t.engine for t in triads)
    if not kept.any():
        reason = "one side excludes what the other allows"
        return Value(name, people, triads=singles, engine=engine, reason=reason)
    reasons = [] if len(triads[0].rows) == len(triads[1].rows) == 1 else [INNER]
    low, high = float(values[kept].min()), float(values[kept].max())
    if low == -np.inf:
        reasons.append(
            "-inf: one side would be certain of the target once the crux is settled, and in logs that is "
            "infinitely far from anyone who is not; the form 'naive' stays finite"
        )
    return Value(name, people, low, high, float(apart[kept].max()), singles, engine, "; ".join(reasons))


def _agree(rows: np.ndarray) -> np.ndarray:
    _, puc, pc = rows.T
    return np.stack([puc * pc + information.find_complements(rows) * (1 - pc), puc, pc], axis=1)


def _single(triads: Triads) -> tuple[float, float, float] | None:
    if len(triads.rows) == 1 or np.ptp(triads.rows, axis=0).max() < POINT:
        pu, puc, pc = (float(x) for x in triads.rows[0])
        return pu, puc, pc
    return None
