"""What follows for one person: a typed answer with its engine, assumptions, claims and bridges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mesascope.cruxes.bounds import Polytope, Spanned
from mesascope.cruxes.claims import Refusal
from mesascope.cruxes.credal import INDEPENDENCE, CredalNet, find_extremes
from mesascope.cruxes.language import SURE, Event, join
from mesascope.cruxes.readings import Reading
from mesascope.cruxes.sampling import draw
from mesascope.errors import pick_named

ENGINES = ("lp", "net", "credal", "sample")
POINT = 1e-7
STATUSES = {
    "stated": "said by this person",
    "implied": "follows as one number",
    "bounded": "follows as a range",
    "unstated": "nothing this person says bounds it",
    "refused": "this person declines the question",
    "inapplicable": "this engine cannot read these claims",
    "undefined": "its condition cannot happen",
    "incoherent": "this person's claims contradict each other",
}


@dataclass(frozen=True)
class Answer(Spanned):
    """What one person's statements say of P(event | given).

    Args:
        status: one of `STATUSES`.
        low, high: the interval; None where refused, undefined or incoherent.
        mean, quantiles: of the second-order distribution, with --engine sample.
        engine, assumptions, reading: how it came about; printed with the number.
        claims: this person's claims that it rests on; `bridges`: the modeller's rules; never mixed.
        wordings: the same question under each other wording of an ambiguous claim.
        refusal: who declined what, why, and what they offer instead.
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
    wordings: Mapping[str, Answer] = field(default_factory=dict)
    refusal: Refusal | None = None

    @property
    def point(self) -> float | None:
        """The one number, where low and high agree within 1e-7."""
        if self.low is None or self.high is None or self.high - self.low > POINT:
            return None
        return (self.low + self.high) / 2


def solve(
    person: str,
    polytope: Polytope,
    event: Event,
    given: Event = SURE,
    engine: str = "lp",
    *,
    reading: str = "centre",
    values: Mapping[str, Reading] | None = None,
    draws: int = 100_000,
    seed: int = 0,
) -> Answer:
    """P(event | given) from one person's statements by one engine.

    Args:
        person: whose.
        polytope: claims as constraints, bridges as rules.
        event, given: the question.
        engine: 'lp' (no independence), 'net' or 'credal' (independence as in a network), 'sample' (Betas).
        reading: how the values in the polytope were read; for the record, and 'beta' for sampling.
        values: each claim's reading, from which sampling takes Betas.
        draws, seed: for sampling.

    Returns an `Answer`; its interval under 'lp' contains that under 'credal', which contains that under 'net'
    at the centres.
    """
    pick_named("engine", engine, ENGINES)
    part = polytope.part(join(event, given).atoms())
    answer = Answer(person, str(event), str(given), "undefined", engine, reading)
    claims, bridges = (tuple(item.id for item in items) for items in (part.constraints, part.rules))
    answer = replace(answer, claims=claims, bridges=bridges)
    if engine == "lp":
        bounds = polytope.bound(event, given)
        notes = ["no independence is assumed, and none that is declared is used"]
        answer = replace(answer, status=bounds.status, low=bounds.low, high=bounds.high)
        return _classify(answer, notes)
    network, notes = CredalNet.about(part, event, given), [INDEPENDENCE]
    if engine in ("net", "credal"):
        found = find_extremes(network, event, given)
        unstated = [e.id for e in network.entries if not e.stated and e.id in found.free]
        if unstated:
            notes.append("unstated, so anything in [0, 1]: " + "; ".join(unstated))
        if not found.exact:
            notes.append("an inner bound: too many free entries to visit all vertices")
        elif found.free:
            notes.append("entries vary in their sets independently of each other")
        return _classify(replace(answer, low=found.low, high=found.high), notes)
    betas = [values[e.id].beta() if values and e.id in values else None for e in network.entries]
    drawn = draw(network, betas, event, given, draws, seed=seed)
    if drawn is None:
        return _classify(answer, notes)
    notes.append(
        f"second order: {draws} draws (seed {seed}) of independent maximum-entropy Betas; 5 % and 95 % shown"
    )
    if drawn.vertices:
        ends = "; ".join(drawn.vertices)
        notes.append(f"no distribution, so at the ends of their sets in every draw: {ends}")
    low, high = drawn.quantiles()
    return _classify(replace(answer, low=low, high=high, mean=drawn.mean(), quantiles=(low, high)), notes)


def _classify(answer: Answer, notes: Sequence[str]) -> Answer:
    """The same answer with its assumptions, and its status by its interval: one number, vacuous, or a range."""
    answer = replace(answer, assumptions=tuple(notes))
    if answer.low is None or answer.high is None:
        return answer
    if answer.point is not None:
        return replace(answer, status="implied")
    vacuous = answer.low <= POINT and answer.high >= 1 - POINT
    return replace(answer, status="unstated" if vacuous else "bounded")


def log_odds(p: float | np.ndarray) -> float | np.ndarray:
    """ln(p/(1-p)); -inf at 0 and inf at 1, without a warning."""
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-np.asarray(p, dtype=float))
