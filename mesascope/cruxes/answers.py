"""Computes what one person's statements imply about one event, and records how the answer was computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mesascope.cruxes.bounds import IntervalResult, Polytope
from mesascope.cruxes.claims import Refusal
from mesascope.cruxes.credal import INDEPENDENCE_NOTE, CredalNet, draw_answers, find_extremes
from mesascope.cruxes.language import SURE_EVENT, Event, conjoin
from mesascope.cruxes.readings import Reading
from mesascope.errors import require_known_name

ENGINES = ("lp", "net", "credal", "sample")
POINT_TOLERANCE = 1e-7
STATUSES = {
    "stated": "said by this person",
    "implied": "follows as one number",
    "bounded": "follows as a range",
    "unstated": "this person's claims do not bound it",
    "refused": "this person declines the question",
    "inapplicable": "this engine cannot read these claims",
    "undefined": "its condition cannot happen",
    "incoherent": "this person's claims contradict each other",
}


@dataclass(frozen=True)
class Answer(IntervalResult):
    """What one person's statements imply about P(event | given).

    Args:
        person: the id of the person.
        event, given: the two events of P(event | given), as texts.
        status: a key of `STATUSES`, whose texts explain each status.
        engine: the engine that computed the answer.
        reading: how stated values were read ('centre', 'set' or 'beta'; see `Conventions`).
        low, high: the ends of the interval, which from the engine 'sample' are the `quantiles`; None if no interval
            could be computed.
        mean: the interval of the mean over the draws; None unless the engine is 'sample'.
        quantiles: the 5 % and 95 % quantiles over the draws; None unless the engine is 'sample'.
        assumptions: the assumptions behind the interval, as texts that are printed with the answer.
        claims: the ids of the person's claims that are connected with the question.
        bridges: the ids of the modeller's rules that are connected with the question.
        interpretations: the answer under each alternative interpretation of an ambiguous claim, by label.
        bridged: the answer with (or without) each optional bridge of the modeller, by label such as 'with b1'.
        refusal: the person's refusal to answer this question; None if the person does not refuse.
    """

    person: str
    event: str
    given: str
    status: str
    engine: str
    reading: str
    low: float | None = None
    high: float | None = None
    mean: tuple[float, float] | None = None
    quantiles: tuple[float, ...] | None = None
    assumptions: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    interpretations: Mapping[str, Answer] = field(default_factory=dict)
    bridged: Mapping[str, Answer] = field(default_factory=dict)
    refusal: Refusal | None = None

    @property
    def point(self) -> float | None:
        """The middle of the interval if its ends agree within 1e-7; otherwise None."""
        if self.low is None or self.high is None or self.high - self.low > POINT_TOLERANCE:
            return None
        return (self.low + self.high) / 2


def answer_question(
    person: str,
    polytope: Polytope,
    event: Event,
    condition: Event = SURE_EVENT,
    engine: str = "lp",
    *,
    reading: str = "centre",
    values: Mapping[str, Reading] | None = None,
    draws: int = 100_000,
    seed: int = 0,
) -> Answer:
    """Computes P(event | condition) from one person's statements with one engine.

    Args:
        person: the id of the person.
        polytope: the person's claims as constraints, and the bridges as rules.
        event, condition: the two events of P(event | condition).
        engine: 'lp' assumes no independence; 'net' and 'credal' assume the independence of a network; 'sample' also
            draws the values from Betas.
        reading: how the values in the polytope were read; the answer states this reading.
        values: the reading of each claim, by id; the engine 'sample' draws a claim's value from its reading's Beta.
        draws, seed: the number of draws and the random seed, for the engine 'sample'.

    Returns an `Answer`. For the same polytope, 'net' and 'credal' give the same interval, and the interval from 'lp'
    contains it.
    """
    require_known_name("engine", engine, ENGINES)
    connected = polytope.select_connected(conjoin(event, condition).atoms)
    answer = Answer(person, str(event), str(condition), "undefined", engine, reading)
    stated = (*connected.constraints, *connected.comparisons)
    claims, bridges = (tuple(item.id for item in items) for items in (stated, connected.rules))
    answer = replace(answer, claims=claims, bridges=bridges)
    if engine == "lp":
        bounds = polytope.bound(event, condition)
        notes = ["no independence is assumed, and no declared independence is used"]
        answer = replace(answer, status=bounds.status, low=bounds.low, high=bounds.high)
        return _set_status(answer, notes)
    network, notes = CredalNet.build_for(connected, event, condition), [INDEPENDENCE_NOTE]
    if engine in ("net", "credal"):
        extremes = find_extremes(network, event, condition)
        unstated_ids = [e.id for e in network.entries if not e.is_stated and e.id in extremes.free_entries]
        if unstated_ids:
            notes.append("unstated, so anything in [0, 1]: " + "; ".join(unstated_ids))
        if not extremes.is_exact:
            notes.append("an inner bound: too many free entries to visit all vertices")
        elif extremes.free_entries:
            notes.append("entries vary in their intervals independently of each other")
        return _set_status(replace(answer, low=extremes.low, high=extremes.high), notes)
    betas = [values[e.id].find_beta() if values and e.id in values else None for e in network.entries]
    sample = draw_answers(network, betas, event, condition, draws, seed=seed)
    if sample is None:
        return _set_status(answer, notes)
    notes.append(f"second order: {draws} draws (seed {seed}) of independent maximum-entropy Betas; 5 % and 95 % shown")
    if sample.vertex_entries:
        ends = "; ".join(sample.vertex_entries)
        notes.append(f"without a distribution, so at the ends of their intervals in every draw: {ends}")
    low, high = sample.compute_quantiles()
    return _set_status(replace(answer, low=low, high=high, mean=sample.compute_mean(), quantiles=(low, high)), notes)


def _set_status(answer: Answer, notes: Sequence[str]) -> Answer:
    """Adds the assumptions to an answer, and sets the status that its interval implies."""
    answer = replace(answer, assumptions=tuple(notes))
    if answer.low is None or answer.high is None:
        return answer
    if answer.point is not None:
        return replace(answer, status="implied")
    is_vacuous = answer.low <= POINT_TOLERANCE and answer.high >= 1 - POINT_TOLERANCE
    return replace(answer, status="unstated" if is_vacuous else "bounded")


def compute_log_odds(p: float | np.ndarray) -> float | np.ndarray:
    """Computes ln(p/(1-p)), which is -inf at 0 and inf at 1; NumPy's warnings for these values are suppressed."""
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-np.asarray(p, dtype=float))
