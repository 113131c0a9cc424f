"""Pools several people's numbers by a linear, logarithmic, geometric or extremised mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.errors import require, require_known_name

POOLING_METHODS = ("linear", "log", "gmo", "geometric", "extremised")
VETOES_BY_METHOD = {"linear": (), "geometric": (0.0,)}  # the numbers that decide a pool alone; by default 0 and 1


def _normalise_weights(
    p: Sequence[float] | np.ndarray, weights: Sequence[float] | None
) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(p, dtype=float)
    w = np.full(len(values), 1 / len(values)) if weights is None else np.asarray(weights, dtype=float)
    is_valid = w.shape == (len(values),) and bool(w.min() >= 0 and 0 < w.sum() < np.inf)
    require(is_valid, "Weights must be one number of at least 0 per person, not all 0.", "Example: --weights 2,1.")
    return values, w / w.sum()


def pool_linear(p: Sequence[float] | np.ndarray, weights: Sequence[float] | None = None) -> float:
    """Computes Σ w·p; this pool commutes with marginalisation, but not with updates by a common likelihood ratio."""
    values, w = _normalise_weights(p, weights)
    return float(w @ values)


def pool_log(p: Sequence[float] | np.ndarray, weights: Sequence[float] | None = None) -> float:
    """Computes ∏p^w / (∏p^w + ∏(1-p)^w); this pool commutes with updates by a common likelihood ratio (Genest 1984).

    A single 0 (or 1) with positive weight is a veto: the pool is 0 (or 1). If both occur, the pool is NaN.
    """
    values, w = _normalise_weights(p, weights)
    values, w = values[w > 0], w[w > 0]
    has_zero, has_one = bool((values == 0).any()), bool((values == 1).any())
    if has_zero or has_one:
        return float("nan") if has_zero and has_one else float(has_one)
    return float(1 / (1 + np.exp(-(w @ (np.log(values) - np.log1p(-values))))))


def pool_geometric(p: Sequence[float] | np.ndarray, weights: Sequence[float] | None = None) -> float:
    """Computes the geometric mean of the probabilities; the means of p and of 1-p need not sum to one.

    A single 0 with positive weight is a veto: the pool is 0. A single 1 is not a veto.
    """
    values, w = _normalise_weights(p, weights)
    with np.errstate(divide="ignore"):
        return float(np.exp(w[w > 0] @ np.log(values[w > 0])))


def compute_extremising_factor(n: int) -> float:
    """Computes d = n(√(3n²-3n+1) - 2)/(n²-n-1) (Neyman and Roughgarden 2022): 1 for n = 1, about √3 for large n."""
    return n * (np.sqrt(3 * n**2 - 3 * n + 1) - 2) / (n**2 - n - 1)


def pool_extremised(p: Sequence[float] | np.ndarray, factor: float | None = None, base_rate: float = 0.5) -> float:
    """Computes σ(ℓ₀ + d·(mean ℓ - ℓ₀)): the mean log-odds ℓ, moved away from the log-odds ℓ₀ of a base rate.

    Args:
        p: the people's probabilities.
        factor: the factor d; by default the factor of Neyman and Roughgarden for this number of people.
        base_rate: the base rate, strictly between 0 and 1.
    """
    require(
        0 < base_rate < 1, f"The base rate {base_rate} is not strictly between 0 and 1.", "Example: --base-rate 0.5."
    )
    pooled_probability = pool_log(p)
    if not 0 < pooled_probability < 1:
        return pooled_probability
    d = compute_extremising_factor(len(p)) if factor is None else factor
    base_log_odds = np.log(base_rate / (1 - base_rate))
    log_odds = np.log(pooled_probability / (1 - pooled_probability))
    return float(1 / (1 + np.exp(-(base_log_odds + d * (log_odds - base_log_odds)))))


@dataclass(frozen=True)
class Pool:
    """Several people's answers as one interval.

    Args:
        target, given: the two events of P(target | given), the question that everybody is asked.
        method, engine: the method of pooling, and the engine that computed each answer.
        low, high: the pooled ends; None if nobody has a number, or if one person's end is 0 and another person's is 1.
        members: the interval of each person in the pool.
        excluded: for each person who is left out, the reason.
        vetoes: texts such as 'ann at the lower end', one for each 0 or 1 that alone decides an end of the interval. In
            a geometric pool, only a 0 does so. A person whose weight is 0 has no veto.
        warnings: what a reader should know before using the pool.
    """

    target: str
    given: str
    method: str
    low: float | None
    high: float | None
    members: dict[str, tuple[float, float]]
    excluded: dict[str, str]
    vetoes: tuple[str, ...]
    warnings: tuple[str, ...]
    engine: str


def pool_people(
    argument: Argument,
    people: Sequence[str] = (),
    target: str | None = None,
    condition: str | None = None,
    method: str = "gmo",
    *,
    weights: Sequence[float] | None = None,
    factor: float | None = None,
    base: float = 0.5,
    engine: str = "lp",
) -> Pool:
    """Pools the lower ends of several people's answers, and their upper ends.

    Args:
        argument: the crux file, as `load_argument` returns it.
        people: the ids of the people; by default those whom the file's query compares, or everybody without a query.
        target, condition: the events in P(target | condition); by default those of the file's query, or no condition if
            only a target is given.
        method: the pool, which is 'linear', 'log', 'gmo' (as 'log', with equal weights), 'geometric' or 'extremised'.
        weights: one weight per person, for 'linear', 'log' and 'geometric'.
        factor, base: the factor and the base rate for 'extremised'; see `pool_extremised`.
        engine: the engine that finds each answer; see `Argument.answer`.

    People who refuse the question, whose claims do not bound the target, or who have no number are left out.
    """
    require_known_name("pooling method", method, POOLING_METHODS)
    people = argument.choose_people(people)
    members: dict[str, tuple[float, float]] = {}
    excluded: dict[str, str] = {}
    warnings = []
    question = argument.choose_common_question(people, target, condition)
    for person in people:
        answer = argument.answer(person, *question, engine, should_add_variants=False)
        if answer.status == "refused" and answer.refusal:
            excluded[person] = f"declines the question: {answer.refusal.reason}"
        elif answer.status == "unstated":
            excluded[person] = "states nothing about it: [0, 1]"
        elif answer.low is None or answer.high is None:
            excluded[person] = f"has no number: {answer.status}"
        else:
            members[person] = (answer.low, answer.high)
    scopes = {frozenset(argument.content.people[p].scope) for p in members}
    if len(scopes) > 1:
        warnings.append("the members speak under different scopes")
    member_weights = None
    if weights is not None:
        problem = f"There are {len(weights)} weights for {len(people)} people."
        require(len(weights) == len(people), problem, "Give one per person.")
        uses_weights = method not in ("gmo", "extremised")
        require(uses_weights, f"The method {method!r} does not use weights.", "Use --method log.")
        member_weights = [weight for weight, person in zip(weights, people, strict=True) if person in members]
    values, vetoes = [], []
    for i, end in enumerate(("lower", "upper") if members else ()):
        numbers = {person: interval[i] for person, interval in members.items()}
        values.append(_pool_values(list(numbers.values()), method, member_weights, factor, base))
        has_weight = [weight > 0 for weight in member_weights or [1.0] * len(numbers)]
        if not np.isnan(values[-1]):
            vetoes += [
                f"{person} at the {end} end"
                for (person, p), counts in zip(numbers.items(), has_weight, strict=True)
                if counts and p in VETOES_BY_METHOD.get(method, (0.0, 1.0))
            ]
    low, high = values or (None, None)
    if np.isnan(values).any():
        low = high = None
        warnings.append("one member's answer is 0 and another's is 1, so there is no pool")
    return Pool(
        str(question[0]), str(question[1]), method, low, high, members, excluded, tuple(vetoes), tuple(warnings), engine
    )


def _pool_values(
    values: list[float], method: str, weights: list[float] | None, factor: float | None, base_rate: float
) -> float:
    if method == "linear":
        return pool_linear(values, weights)
    if method == "geometric":
        return pool_geometric(values, weights)
    return pool_extremised(values, factor, base_rate) if method == "extremised" else pool_log(values, weights)
