"""Measures how much a crux matters: to one person by value of information, to two people by value of discrimination."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes import information
from mesascope.cruxes.answers import POINT_TOLERANCE
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.credal import CredalNet
from mesascope.cruxes.language import SURE_EVENT, Event, are_equivalent, conjoin, enumerate_worlds, find_literals
from mesascope.errors import MesascopeError, require, require_known_name

CRUX_ENGINES = ("auto", "net", "lp")
EQUALITY_TOLERANCE = 1e-9  # two probabilities from a linear program are taken as equal if they differ by less
INNER_BOUND_NOTE = "a range found by search over distributions that agree with the claims: an inner bound"


@dataclass(frozen=True)
class Triads:
    """One person's triads P(U), P(U | C) and P(C), for a target U and a crux C.

    Args:
        rows: the m triads (P(U), P(U | C), P(C)), [m, 3]; one row from the engine 'net', otherwise many rows.
        engine: 'net' (one row, under the independence of a network) or 'lp' (a sample of all triads that the claims
            allow, without independence).
    """

    rows: np.ndarray
    engine: str


@dataclass(frozen=True)
class CruxValue:
    """The value of learning a crux.

    Args:
        crux: the crux, as an event or as its states.
        people: the id of the person, or the ids of the two people, who learn the crux.
        low, high: the ends of the value's interval, in the unit of its divergence and base; equal if the claims
            determine the triad; None if there is no value.
        maximum: the value of learning the target itself, which no value of information exceeds (the target's entropy,
            if the divergence is 'log'); for two people, their present disagreement, which no value of discrimination
            exceeds; None if there is no value.
        triads: each person's triad (P(U), P(U | C), P(C)), or None if the claims do not determine the triad.
        engine: the engine that found the triads.
        reason: why there is no value, or what limits it.
    """

    crux: str
    people: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    maximum: float | None = None
    triads: tuple[tuple[float, float, float] | None, ...] = ()
    engine: str = ""
    reason: str = ""


def find_triads(
    argument: Argument, person: str, crux: Event, target: Event, condition: Event, *, engine: str = "auto"
) -> Triads:
    """Finds triads (P(U), P(U | C), P(C)) that agree with a person's claims, all under one condition.

    Args:
        argument: the crux file, as `load_argument` returns it.
        person: the id of the person.
        crux, target, condition: the events C and U, and the event on which all three probabilities are conditional.
        engine: 'net' (a network's independence), 'lp' (no independence), or 'auto', which is 'net' if the claims form a
            network that determines the triad, and otherwise 'lp'.
    """
    if require_known_name("engine", engine, CRUX_ENGINES) != "lp":
        try:
            return _find_network_triad(argument, person, crux, target, condition)
        except MesascopeError:
            if engine == "net":
                raise
    polytope = argument.build_polytope(person).select_connected(conjoin(target, crux, condition).atoms)
    events = [conjoin(target, crux), conjoin(target, Event("!", (crux,))), crux]
    parts = [part.find_vertices(events, condition) for part in polytope.list_linear_parts()]
    parts = [corners for corners in parts if len(corners)]
    if not parts:
        raise MesascopeError(f"{person}'s claims give {target} given {condition} no value.", "See `crux check`.")
    rng = np.random.default_rng(7)
    mixtures = [rng.dirichlet(np.full(len(corners), 0.3), 2000 // len(parts)) @ corners for corners in parts]
    joint_probabilities = np.concatenate([*parts, *mixtures])
    pc = np.clip(joint_probabilities[:, 2], 0, 1)
    pu = np.clip(joint_probabilities[:, 0] + joint_probabilities[:, 1], 0, 1)
    both = np.where(abs(joint_probabilities[:, 0] - pc) < EQUALITY_TOLERANCE, pc, joint_probabilities[:, 0])
    puc = np.where(pc > 0, np.clip(both / np.where(pc > 0, pc, 1), 0, 1), pu)
    return Triads(np.stack([pu, puc, pc], axis=1), "lp")


def _find_network_triad(argument: Argument, person: str, crux: Event, target: Event, condition: Event) -> Triads:
    network = CredalNet.build_for(argument.build_polytope(person), crux, target, condition)
    intervals = network.list_intervals()

    def find_point(event: Event, condition: Event) -> float:
        """Finds P(event | condition); NaN if the network does not determine it."""
        is_open = np.any(network.find_relevant_entries(event, condition) & (intervals[:, 1] > intervals[:, 0]))
        return np.nan if is_open else float(network.evaluate(intervals.mean(axis=1)[:, None], event, condition)[0])

    triad = [np.nan] * 3
    for i, question in ((0, (target, condition)), (2, (crux, condition)), (1, (target, conjoin(condition, crux)))):
        triad[i] = find_point(*question)
        if i == 1 and np.isnan(triad[1]) and triad[2] == 0:
            triad[1] = triad[0]
        if not np.isfinite(triad[i]):
            problem = f"{person}'s network does not determine the triad of {crux} and {target}."
            raise MesascopeError(problem, "Ask with --engine lp.")
    return Triads(np.array([triad]), "net")


def _bound_information(triads: Triads, base: float, divergence: str) -> tuple[float, float, float]:
    pu, puc, pc = triads.rows.T
    pun = information.find_complements(triads.rows, threshold=1 - 1e-12)
    values = np.asarray(information.compute_information_value(pu, puc, pc, base, complement=pun, divergence=divergence))
    greatest_values = np.asarray(information.compute_greatest_information_value(pu, base, divergence))
    return float(values.min()), float(values.max()), float(greatest_values.max())


def list_cruxes(argument: Argument, person: str, target: Event, condition: Event = SURE_EVENT) -> dict[str, Event]:
    """Lists the atoms and definitions that a person's statements connect to a target.

    The list leaves out the target, the atoms of the condition and the events that the person declines.
    """
    part = argument.build_polytope(person).select_connected(conjoin(target, condition).atoms)
    claimed_atoms = {atom for item in part.statements for atom in item.atoms}
    cruxes = {}
    for name in (*argument.content.atoms, *argument.content.definitions):
        event = argument.parse_event(name)
        is_open = name not in (find_literals(condition) or {}) and not are_equivalent(event, target)
        if is_open and event.atoms <= claimed_atoms and argument.find_refusal(person, event) is None:
            cruxes[name] = event
    return cruxes


def rank_cruxes(
    argument: Argument,
    person: str,
    crux: str | None = None,
    target: str | None = None,
    condition: str | None = None,
    *,
    base: float = 10.0,
    divergence: str = "log",
    engine: str = "auto",
) -> list[CruxValue]:
    """Ranks cruxes by their value of information to one person; the largest value comes first.

    Args:
        argument: the crux file, as `load_argument` returns it.
        person: the id of the person whose belief in the target would change.
        crux: an event, or the states of a crux, separated by ';'; the states must exclude each other and cover every
            case. By default, every atom and definition connected to the target is ranked.
        target, condition: the events in P(target | condition); by default those of the file's query, or no condition if
            only a target is given.
        base: the base of the logarithm; 10 gives dits.
        divergence: 'log', 'naive' or 'quadratic'; see `compute_information_value`.
        engine: 'auto', 'net' or 'lp'; see `find_triads`.

    If the claims do not determine the triad, `low` and `high` are an inner bound: the true range may be wider.
    """
    information.require_divergence(divergence)
    require_known_name("engine", engine, CRUX_ENGINES)
    question = argument.choose_question(person, target, condition)
    if crux is not None and ";" in crux:
        problem = "The value of a crux of several states is not computed by the engine 'lp'."
        require(engine != "lp", problem, "Ask with --engine net, or about each state alone.")
        return [_compute_states_value(argument, person, crux, *question, base=base, divergence=divergence)]
    if crux is None:
        candidates = list_cruxes(argument, person, *question)
    else:
        candidates = {crux: argument.parse_event(crux)}
        if refusal := argument.find_refusal(person, candidates[crux]):
            reason = f"declined: {refusal.reason}"
            return [CruxValue(crux, (person,), triads=(None,), engine=engine, reason=reason)]
    values = []
    for name, event in candidates.items():
        triads = find_triads(argument, person, event, *question, engine=engine)
        low, high, greatest_value = _bound_information(triads, base, divergence)
        reason = "" if triads.engine == "net" or high - low < POINT_TOLERANCE else INNER_BOUND_NOTE
        triad = pick_single_triad(triads)
        values.append(CruxValue(name, (person,), low, high, greatest_value, (triad,), triads.engine, reason))
    return sorted(values, key=lambda v: -(v.high or 0.0))


def _compute_states_value(
    argument: Argument, person: str, crux: str, target: Event, condition: Event, *, base: float, divergence: str
) -> CruxValue:
    states = [argument.parse_event(part) for part in crux.split(";")]
    worlds = enumerate_worlds(sorted(conjoin(*states).atoms))
    if np.any(sum(s.evaluate(worlds).astype(int) for s in states) != 1):
        raise MesascopeError(f"The states {crux!r} overlap or leave a case out.", "Example: 'T & C; T & !C; !T'.")
    if any(argument.find_refusal(person, s) for s in states):
        return CruxValue(crux, (person,), triads=(None,), engine="net", reason="declined")
    state_probabilities, target_probabilities = [], []
    for state in states:
        probability = argument.answer(person, state, condition, engine="net", should_add_variants=False).point
        both = conjoin(condition, state)
        target_probability = argument.answer(person, target, both, engine="net", should_add_variants=False).point
        if probability is None or (target_probability is None and probability > 0):
            problem = f"{person}'s network does not determine {state} as a crux of {target}."
            raise MesascopeError(problem, "Choose other states.")
        state_probabilities.append(probability)
        target_probabilities.append(0.0 if target_probability is None else target_probability)
    value = information.compute_information_value_of_states(target_probabilities, state_probabilities, base, divergence)
    pu = float(np.dot(target_probabilities, state_probabilities))
    greatest_value = float(information.compute_greatest_information_value(pu, base, divergence))
    return CruxValue(crux, (person,), value, value, greatest_value, (None,), "net")


def rank_shared_cruxes(
    argument: Argument,
    first_person: str | None = None,
    second_person: str | None = None,
    crux: str | None = None,
    target: str | None = None,
    *,
    base: float = 10.0,
    weights: str = "gmo",
    divergence: str = "log",
    engine: str = "auto",
) -> list[CruxValue]:
    """Ranks cruxes by their value of discrimination between two people; the largest value comes first.

    Args:
        argument: the crux file, as `load_argument` returns it.
        first_person, second_person: the ids of the two people; by default the file's pair.
        crux: an event; by default, every atom and definition that both people's claims connect to the target is ranked.
        target: an event; by default the target of the file's query. Both people answer the same question.
        base, engine: see `rank_cruxes`.
        weights: 'gmo' or 'mean'; see `compute_discrimination_value`.
        divergence: 'log' (symmetric KL) or 'naive' (absolute differences, which are always finite).

    A negative value means that learning the crux is expected to drive the two people apart.
    """
    require_known_name("engine", engine, CRUX_ENGINES)
    require_known_name("divergence", divergence, ("log", "naive"))
    require_known_name("weights", weights, ("gmo", "mean"))
    people = argument.pick_pair(first_person, second_person)
    questions = [argument.choose_common_question(people, target)] * 2
    if crux is not None:
        candidates = {crux: argument.parse_event(crux)}
    else:
        cruxes_by_person = [list_cruxes(argument, p, *q) for p, q in zip(people, questions, strict=True)]
        candidates = {n: e for n, e in cruxes_by_person[0].items() if n in cruxes_by_person[1]}
    values = []
    for name, event in candidates.items():
        decliners = [p for p in people if argument.find_refusal(p, event)]
        if decliners:
            reason = f"declined by {decliners[0]}"
            values.append(CruxValue(name, people, triads=(None, None), engine=engine, reason=reason))
            continue
        triads = [find_triads(argument, p, event, *q, engine=engine) for p, q in zip(people, questions, strict=True)]
        values.append(_bound_discrimination(name, people, triads, base, weights, divergence=divergence))
    return sorted(values, key=lambda v: -(v.high if v.high is not None else -np.inf))


def _bound_discrimination(
    name: str, people: tuple[str, str], triads: Sequence[Triads], base: float, weights: str, *, divergence: str
) -> CruxValue:
    rng = np.random.default_rng(11)
    a, b = (t.rows for t in triads)
    if len(a) * len(b) > 1:
        a, b = a[rng.integers(0, len(a), 4000)], b[rng.integers(0, len(b), 4000)]
    values = information.compute_discrimination_values(_make_coherent(a), _make_coherent(b), base, weights, divergence)
    gap = abs(a[:, 0] - b[:, 0]) if divergence == "naive" else information.measure_symmetric_kl(a[:, 0], b[:, 0], base)
    is_finite = ~np.isnan(values)
    single_triads = tuple(pick_single_triad(t) for t in triads)
    engine = "/".join(t.engine for t in triads)
    if not is_finite.any():
        reason = "one person excludes what the other allows"
        return CruxValue(name, people, triads=single_triads, engine=engine, reason=reason)
    reasons = [] if len(triads[0].rows) == len(triads[1].rows) == 1 else [INNER_BOUND_NOTE]
    low, high = float(values[is_finite].min()), float(values[is_finite].max())
    if low == -np.inf:
        reason = "-inf: once the crux is settled, one person would be certain of the target, and in logs this is "
        reasons.append(reason + "infinitely far from any other belief; the divergence 'naive' stays finite")
    return CruxValue(name, people, low, high, float(gap[is_finite].max()), single_triads, engine, "; ".join(reasons))


def _make_coherent(rows: np.ndarray) -> np.ndarray:
    _, puc, pc = rows.T
    return np.stack([puc * pc + information.find_complements(rows) * (1 - pc), puc, pc], axis=1)


def pick_single_triad(triads: Triads) -> tuple[float, float, float] | None:
    """Returns the triad if the claims determine it; otherwise None."""
    if len(triads.rows) == 1 or np.ptp(triads.rows, axis=0).max() < POINT_TOLERANCE:
        pu, puc, pc = (float(x) for x in triads.rows[0])
        return pu, puc, pc
    return None
