"""Computes a crux's value of information and value of discrimination, as the Forecasting Research Institute does.

Notation: U is the target and C the crux; pu = P(U), pc = P(C), puc = P(U | C), pun = P(U | not C), and 0·log 0 = 0.
"""

from collections.abc import Sequence

import numpy as np

from mesascope.errors import require, require_known_name

ROUNDING_TOLERANCE = 1e-12  # probabilities within this distance of 0 or 1 become 0 or 1, because their logs are needed
LOG_BASES = {"10": 10.0, "2": 2.0, "e": float(np.e)}
DIVERGENCES = ("log", "naive", "quadratic")


def _compute_kl_terms(p: np.ndarray, q: np.ndarray, base: float) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = p * (np.log(p) - np.log(q)) / np.log(base)
    return np.where(p == 0, 0.0, value)


def measure_kl(p: float | np.ndarray, q: float | np.ndarray, base: float = 10.0) -> np.ndarray:
    """Measures the divergence KL(p, q) of two binary distributions; infinite if q excludes an outcome that p allows."""
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    return _compute_kl_terms(p, q, base) + _compute_kl_terms(1 - p, 1 - q, base)


def measure_entropy(p: float | np.ndarray, base: float = 10.0) -> np.ndarray:
    """Measures the entropy H(p) of a binary distribution."""
    p = np.asarray(p, dtype=float)
    ones = np.ones_like(p)
    return -_compute_kl_terms(p, ones, base) - _compute_kl_terms(1 - p, ones, base)


def find_complement(pu: float, puc: float, pc: float) -> float | None:
    """Finds P(U | not C) = (pu - puc·pc)/(1 - pc); None if pc is 1.

    A result outside [0, 1] means that the three numbers contradict each other, and raises `MesascopeError`.
    """
    if pc >= 1:
        return None
    joint = pu - puc * pc
    value = (0.0 if abs(joint) < ROUNDING_TOLERANCE else joint) / (1 - pc)
    value = 1.0 if abs(1 - pc - joint) < ROUNDING_TOLERANCE else value
    triad = f"P(U) = {pu:g}, P(U|C) = {puc:g} and P(C) = {pc:g}"
    problem = f"{triad} contradict each other: P(U|not C) would be {value:.4g}."
    require(-1e-12 <= value <= 1 + 1e-12, problem, "See `crux check` for the smallest repair.")
    return min(1.0, max(0.0, value))


def find_complements(rows: np.ndarray, threshold: float = 1.0) -> np.ndarray:
    """Finds P(U | not C) for every row (pu, puc, pc), but returns P(U) for rows with P(C) of at least `threshold`."""
    pu, puc, pc = rows.T
    joint, rest = pu - puc * pc, np.where(pc < threshold, 1 - pc, 1)
    joint = np.where(
        abs(joint) < ROUNDING_TOLERANCE, 0.0, np.where(abs(rest - joint) < ROUNDING_TOLERANCE, rest, joint)
    )
    return np.where(pc < threshold, joint / rest, pu).clip(0, 1)


def compute_information_value(
    pu: float | np.ndarray,
    puc: float | np.ndarray,
    pc: float | np.ndarray,
    base: float = 10.0,
    *,
    complement: float | np.ndarray | None = None,
    divergence: str = "log",
) -> float | np.ndarray:
    """Computes the value of learning C for a belief in U.

    Args:
        pu, puc, pc: the triad P(U), P(U | C) and P(C), which may be arrays of one shape if there is a `complement`.
        base: the base of the logarithm; 10 gives dits.
        complement: P(U | not C) as the person states it, even if that contradicts the triad (the 'updatable' form).
        divergence: 'log' (mutual information, without a `complement`), 'naive' (mean absolute change) or
            'quadratic' (the variance of E[U|C], the numerator of the first-order Sobol index).

    Returns a number of at least 0, or an array of such numbers. With 'log' and without a `complement`, the number is at
    most the entropy of U, and equals this entropy if C is U.
    """
    require_divergence(divergence)
    pun = find_complement(float(pu), float(puc), float(pc)) if complement is None else complement
    no = 0.0 if pun is None else _measure_change(pun, pu, base, divergence)
    value = _average_outcomes(pc, _measure_change(puc, pu, base, divergence), no)
    return value if np.ndim(value) else float(value)


def require_divergence(divergence: str) -> str:
    """Returns the name of the divergence if the value of information knows it; otherwise raises `MesascopeError`."""
    return require_known_name("divergence of the value of information", divergence, DIVERGENCES)


def _measure_change(q: float | np.ndarray, pu: float | np.ndarray, base: float, divergence: str) -> np.ndarray:
    """Measures how far the probability of U changes from pu to q, by the divergence 'log', 'naive' or 'quadratic'."""
    change = np.asarray(q, dtype=float) - pu
    return measure_kl(q, pu, base) if divergence == "log" else abs(change) if divergence == "naive" else change**2


def compute_greatest_information_value(
    pu: float | np.ndarray, base: float = 10.0, divergence: str = "log"
) -> float | np.ndarray:
    """Computes the value of learning U itself, which no value of information about U exceeds.

    The value is the entropy of U with the divergence 'log', 2·pu·(1 - pu) with 'naive', and pu·(1 - pu) with
    'quadratic'.
    """
    pu = np.asarray(pu, dtype=float)
    return compute_information_value(
        pu, np.ones_like(pu), pu, base, complement=np.zeros_like(pu), divergence=divergence
    )


def _average_outcomes(
    w: float | np.ndarray, value_if_true: float | np.ndarray, value_if_false: float | np.ndarray
) -> np.ndarray:
    """Computes w·yes + (1 - w)·no; a term of weight 0 is 0, even if its value is infinite or NaN."""
    w = np.asarray(w, dtype=float)
    with np.errstate(invalid="ignore"):
        return np.where(w > 0, w * value_if_true, 0.0) + np.where(w < 1, (1 - w) * value_if_false, 0.0)


def compute_information_value_of_states(
    pu_by_state: Sequence[float], pc: Sequence[float], base: float = 10.0, divergence: str = "log"
) -> float:
    """Computes the value of learning a crux with k states; with 'log', it is Σ_c P(c)·KL(P(U|c), P(U)).

    Args:
        pu_by_state: P(U | state) for each state.
        pc: P(state) for each state; these sum to one.
        base, divergence: see `compute_information_value`.
    """
    require_divergence(divergence)
    q, w = np.asarray(pu_by_state, dtype=float), np.asarray(pc, dtype=float)
    is_distribution = q.shape == w.shape and bool(w.min() >= 0) and abs(w.sum() - 1) <= 1e-9
    problem = "Each state of a crux needs a weight, and the weights must sum to one."
    require(is_distribution, problem, "Give P(state) for each.")
    is_possible = w > 0
    return float(w[is_possible] @ _measure_change(q[is_possible], float(w @ q), base, divergence))


def measure_symmetric_kl(a: float | np.ndarray, b: float | np.ndarray, base: float = 10.0) -> np.ndarray:
    """Measures the symmetric divergence KL(a, b) + KL(b, a) of two people's numbers."""
    return measure_kl(a, b, base) + measure_kl(b, a, base)


def average_odds(a: float, b: float) -> float:
    """Finds the probability whose odds are the geometric mean of the odds of a and b."""
    yes, no = np.sqrt(a * b), np.sqrt((1 - a) * (1 - b))
    problem = "One person gives the crux 0 and the other 1, so there is no common weight."
    require(bool(yes + no > 0), problem, "Use --weights mean.")
    return float(yes / (yes + no))


def compute_discrimination_value(
    a: tuple[float, float, float],
    b: tuple[float, float, float],
    base: float = 10.0,
    weights: str = "gmo",
    divergence: str = "log",
) -> float:
    """Computes how much closer learning C is expected to bring two people's beliefs in U.

    Args:
        a, b: the triad (pu, puc, pc) of each person.
        base: the base of the logarithm.
        weights: the P(C) that weights the outcomes of C, which is the probability whose odds are the geometric mean of
            the two people's odds ('gmo', preferred) or the mean of the two people's probabilities ('mean').
        divergence: 'log' (symmetric KL) or 'naive' (absolute difference).

    Returns a number that is at most the present disagreement. The number is negative if learning C is expected to drive
    the two people apart, and NaN if both the present and the expected disagreement are infinite.
    """
    require_known_name("divergence of discrimination", divergence, ("log", "naive"))
    require_known_name("weights", weights, ("gmo", "mean"))
    g = average_odds(a[2], b[2]) if weights == "gmo" else (a[2] + b[2]) / 2
    na, nb = find_complement(*a), find_complement(*b)
    is_defined = g >= 1 or (na is not None and nb is not None)
    require(is_defined, "One person is certain of the crux, so P(U | not C) is not defined.", "Use another crux.")
    return float(compute_discrimination_values(np.array([a]), np.array([b]), base, weights, divergence)[0])


def compute_discrimination_values(
    a: np.ndarray, b: np.ndarray, base: float = 10.0, weights: str = "gmo", divergence: str = "log"
) -> np.ndarray:
    """Computes the value of discrimination for m pairs of coherent triads; returns values [m].

    Args:
        a, b: the triads (pu, puc, pc) of each person, [m, 3].
        base, weights, divergence: see `compute_discrimination_value`.

    Where `compute_discrimination_value` raises an error, a value is NaN: with the weights 'mean', if a person is
    certain of the crux; with the weights 'gmo', if one person excludes what the other person is certain of.
    """
    (pu_a, puc_a, pc_a), (pu_b, puc_b, pc_b) = a.T, b.T

    def measure_difference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return measure_symmetric_kl(x, y, base) if divergence == "log" else abs(x - y)

    na, nb = find_complements(a), find_complements(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        yes, no = np.sqrt(pc_a * pc_b), np.sqrt((1 - pc_a) * (1 - pc_b))
        g = yes / (yes + no) if weights == "gmo" else (pc_a + pc_b) / 2
        g = np.where((g < 1) & ((pc_a >= 1) | (pc_b >= 1)), np.nan, g)
        present, expected = (
            measure_difference(pu_a, pu_b),
            _average_outcomes(g, measure_difference(puc_a, puc_b), measure_difference(na, nb)),
        )
        return np.where(np.isnan(g), np.nan, present - expected)
