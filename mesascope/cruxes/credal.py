"""Imprecise networks: the extremes of a query over the vertices of its entries' intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mesascope.cruxes.arguments import Argument
from mesascope.cruxes.language import SURE, Event

MOST_FREE = 20
_CHUNK = 2**14


@dataclass(frozen=True)
class Extremes:
    """The least and greatest value over the vertices.

    Args:
        low, high: the ends; None where the condition cannot happen at any vertex.
        exact: True where all vertices were visited; False for the inner bound by coordinate ascent.
        free: ids of the entries that the query depends on and that are not points.
    """

    low: float | None
    high: float | None
    exact: bool
    free: tuple[str, ...]


def find_extremes(
    argument: Argument, event: Event, given: Event = SURE, starts: int = 4, seed: int = 0
) -> Extremes:
    """The range of P(event | given) when every entry varies in its interval, independently of the others.

    Args:
        argument: a network with interval entries.
        event, given: the question.
        starts, seed: random vertices to climb from, where more than 20 entries are free.

    P(event | given) is a ratio of two multilinear functions, (aθ+b)/(cθ+d) in each entry, hence monotone in
    each: its extremes lie at vertices. With at most 20 free entries all 2^k vertices are visited: exact.
    """
    spans = argument.spans()
    moves = argument.relevant(event, given) & (spans[:, 1] > spans[:, 0])
    free = np.flatnonzero(moves)
    names = tuple(argument.entries[i].id for i in free)
    if len(free) <= MOST_FREE:
        low, high = np.inf, -np.inf
        for start in range(0, 2 ** len(free), _CHUNK):
            codes = np.arange(start, min(start + _CHUNK, 2 ** len(free)))
            theta = np.repeat(spans.mean(axis=1, keepdims=True), len(codes), axis=1)
            theta[free] = np.where(
                (codes >> np.arange(len(free))[:, None]) & 1, spans[free, 1:], spans[free, :1]
            )
            values = argument.evaluate(theta, event, given)
            if not np.isnan(values).all():
                low, high = min(low, float(np.nanmin(values))), max(high, float(np.nanmax(values)))
        return Extremes(None, None, True, names) if low > high else Extremes(low, high, True, names)
    ends = [
        _climb(argument, event, given, spans, free, sign=sign, starts=starts, seed=seed)
        for sign in (-1.0, 1.0)
    ]
    return Extremes(ends[0], ends[1], False, names)


def _climb(
    argument: Argument,
    event: Event,
    given: Event,
    spans: np.ndarray,
    free: np.ndarray,
    *,
    sign: float,
    starts: int,
    seed: int,
) -> float | None:
    rng, best = np.random.default_rng(seed), None
    for _ in range(starts):
        theta = spans.mean(axis=1)
        theta[free] = spans[free, rng.integers(0, 2, len(free))]
        current = -np.inf
        while True:
            trials = np.repeat(theta[:, None], len(free), axis=1)
            flipped = np.where(theta[free] == spans[free, 0], spans[free, 1], spans[free, 0])
            trials[free, np.arange(len(free))] = flipped
            values = sign * np.nan_to_num(argument.evaluate(trials, event, given), nan=-sign * np.inf)
            if values.max() <= current + 1e-15:
                break
            current = float(values.max())
            theta = trials[:, int(values.argmax())]
        if np.isfinite(current) and (best is None or current > best):
            best = current
    return None if best is None else sign * best


def propagate_chain(first: tuple[float, float], yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Intervals along a chain a1 -> a2 -> …, exact, in linear time.

    Args:
        first: the interval of P(a1).
        yes, no: intervals [n-1, 2] of P(next | this) and P(next | not this).

    Returns [n, 2]: each P(ai) is monotone in the previous one, so each step's ends lie at vertices.
    """
    spans = [first]
    for (yl, yu), (nl, nu) in zip(yes, no, strict=True):
        low, high = spans[-1]
        spans.append(
            (min(p * yl + (1 - p) * nl for p in (low, high)), max(p * yu + (1 - p) * nu for p in (low, high)))
        )
    return np.array(spans)


def trace_one_way(
    argument: Argument, number: int, theta: np.ndarray, event: Event, given: Event = SURE
) -> tuple[float, float, float, float]:
    """Coefficients (a, b, c, d) with P(event | given) = (a·t + b)/(c·t + d) as entry `number` goes through t.

    Numerator and denominator are linear in the entry: two evaluations of each. The derivative is
    (a·d - b·c)/(c·t + d)^2.
    """
    ends = np.repeat(np.asarray(theta, dtype=float)[:, None], 2, axis=1)
    ends[number] = (0.0, 1.0)
    both = argument.evaluate(ends, Event("&", (event, given)) if given is not SURE else event)
    base = argument.evaluate(ends, given) if given is not SURE else np.ones(2)
    return float(both[1] - both[0]), float(both[0]), float(base[1] - base[0]), float(base[0])
