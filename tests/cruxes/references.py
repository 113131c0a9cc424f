"""Slow or special derivations that the crux functions are held against."""

from collections.abc import Sequence
from itertools import permutations
from math import factorial

import numpy as np
from scipy.optimize import root
from scipy.special import betainc, betaincinv

from mesascope.cruxes.credal import CredalNet
from mesascope.cruxes.disagreement import Game
from mesascope.cruxes.information import measure_symmetric_kl
from mesascope.cruxes.language import SURE_EVENT, Event, conjoin
from mesascope.cruxes.readings import DEFAULT_MASS, fit_beta


def propagate_chain(first: tuple[float, float], yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Intervals along a chain a1 -> a2 -> …, exact, in linear time.

    Args:
        first: the interval of P(a1).
        yes, no: intervals [n-1, 2] of P(next | this) and P(next | not this).

    Returns [n, 2]: each P(ai) is monotone in the previous one, so each step's ends lie at vertices.
    """
    spans = [first]
    for (yl, yu), (nl, nu) in zip(yes, no, strict=True):
        ends = spans[-1]
        spans.append((min(p * yl + (1 - p) * nl for p in ends), max(p * yu + (1 - p) * nu for p in ends)))
    return np.array(spans)


def trace_one_way(
    network: CredalNet, number: int, theta: np.ndarray, event: Event, given: Event = SURE_EVENT
) -> tuple[float, float, float, float]:
    """Coefficients (a, b, c, d) with P(event | given) = (a·t + b)/(c·t + d) as entry `number` goes through t.

    Numerator and denominator are linear in the entry: two evaluations of each. The derivative is
    (a·d - b·c)/(c·t + d)^2.
    """
    ends = np.repeat(np.asarray(theta, dtype=float)[:, None], 2, axis=1)
    ends[number] = (0.0, 1.0)
    both = network.evaluate(ends, conjoin(event, given))
    base = network.evaluate(ends, given) if given is not SURE_EVENT else np.ones(2)
    return float(both[1] - both[0]), float(both[0]), float(base[1] - base[0]), float(base[0])


def share_by_orders(game: Game, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shapley shares the slow way, over all orders, to hold the fast one against."""
    n = len(a)
    shares = np.zeros(n)
    for order in permutations(range(n)):
        theta = np.array(a, dtype=float)
        before = float(game(theta[None])[0])
        for i in order:
            theta[i] = b[i]
            after = float(game(theta[None])[0])
            shares[i] += after - before
            before = after
    return shares / factorial(n)


def share_variance_product(mean: Sequence[float], sd: Sequence[float]) -> tuple[np.ndarray, np.ndarray, float]:
    """First-order and total Sobol shares of a product of independent factors, exactly.

    Args:
        mean, sd: of each factor.

    Returns (S, ST, sd of the product): Sᵢ = σᵢ²∏μⱼ²/V and STᵢ = σᵢ²∏(μⱼ²+σⱼ²)/V over j ≠ i, with
    V = ∏(μ²+σ²) - ∏μ².
    """
    m, s = np.asarray(mean, dtype=float) ** 2, np.asarray(sd, dtype=float) ** 2
    variance = (m + s).prod() - m.prod()
    others = [np.delete(np.arange(len(m)), i) for i in range(len(m))]
    first = np.array([s[i] * m[o].prod() for i, o in enumerate(others)]) / variance
    total = np.array([s[i] * (m + s)[o].prod() for i, o in enumerate(others)]) / variance
    return first, total, float(np.sqrt(variance))


def value_partial_product(betas: Sequence[tuple[float, float]], cost: float) -> np.ndarray:
    """EVPPI of each factor of a product of independent Betas, exactly.

    Args:
        betas: (a, b) per factor; the risk is their product.
        cost: of acting.

    E min(c, bX) = b·μ·I_z(a+1, b') + c·(1 - I_z(a, b')), z = min(c/b, 1), b the product of the other means.
    """
    means = np.array([a / (a + b) for a, b in betas])
    whole, values = means.prod(), []
    for i, (a, b) in enumerate(betas):
        other = np.delete(means, i).prod()
        z = min(cost / other, 1.0) if other > 0 else 1.0
        least = other * means[i] * betainc(a + 1, b, z) + cost * (1 - betainc(a, b, z))
        values.append(max(-cost, -whole) * -1 - least)
    return np.maximum(np.array(values), 0.0)


def value_discrimination_states(
    a_given: Sequence[float],
    a_weights: Sequence[float],
    b_given: Sequence[float],
    b_weights: Sequence[float],
    base: float = 10.0,
) -> float:
    """The value of discrimination of a crux with k states, by the normalised geometric means √(aₖ·bₖ)."""
    pa, wa, pb, wb = (np.asarray(x, dtype=float) for x in (a_given, a_weights, b_given, b_weights))
    g = np.sqrt(wa * wb)
    g = g / g.sum()
    kept = g > 0
    return float(
        measure_symmetric_kl(float(pa @ wa), float(pb @ wb), base)
        - g[kept] @ measure_symmetric_kl(pa[kept], pb[kept], base)
    )


def fit_beta_equal_tail(low: float, high: float, mass: float = DEFAULT_MASS) -> tuple[float, float]:
    """The Beta with (1 - mass)/2 below low and above high; a second convention, with another mean."""
    tail = (1 - mass) / 2

    def miss(x: np.ndarray) -> list[float]:
        a, b = np.exp(x)
        return [float(betaincinv(a, b, tail)) - low, float(betaincinv(a, b, 1 - tail)) - high]

    found = root(miss, np.log(fit_beta(low, high, mass)), tol=1e-12)
    a, b = np.exp(found.x)
    return float(a), float(b)
