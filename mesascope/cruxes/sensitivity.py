"""Finds which of a person's numbers matters most: by Sobol shares of variance, and by value of perfect information."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.credal import INDEPENDENCE_NOTE, CredalNet
from mesascope.errors import MesascopeError, require


def find_sobol_shares(
    function: Callable[[np.ndarray], np.ndarray], betas: Sequence[tuple[float, float]], n: int = 2**12, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Finds first-order and total Sobol shares of a function of independent Betas, with scipy's estimator.

    Args:
        function: the function of the inputs, which is evaluated for many draws at once, [inputs, draws] -> [draws].
        betas: the Beta parameters (a, b) of each input.
        n: a power of two; the function is evaluated n·(inputs + 2) times.
        seed: the seed that scrambles the Sobol points.

    Returns the first-order shares [inputs] and the total shares [inputs].
    """
    if len(betas) == 1:  # a single input causes all the variance
        return np.ones(1), np.ones(1)
    from scipy.stats import beta, sobol_indices

    indices = sobol_indices(
        func=lambda x: function(x)[None, :],
        n=n,
        dists=[beta(a, b) for a, b in betas],  # type: ignore[arg-type]
        rng=np.random.default_rng(seed),
    )
    return np.ravel(indices.first_order), np.ravel(indices.total_order)


def compute_evpi(outcomes: np.ndarray, cost: float) -> float:
    """Computes the expected value of perfect information (EVPI), E max(-c, -Y) - max(-c, -E Y).

    The choice is between acting at the `cost` c and bearing the risk Y, of which `outcomes` are draws.
    """
    return max(0.0, float(np.maximum(-cost, -outcomes).mean() - max(-cost, -outcomes.mean())))


@dataclass(frozen=True)
class ClaimWeight:
    """The influence of one claim's uncertainty on the answer.

    Args:
        claim: the id of the claim.
        beta: the parameters (a, b) of the claim's Beta.
        first: the first-order Sobol share: the share of the variance that is due to this claim alone.
        total: the total Sobol share, which includes interactions with other claims.
        partial: the expected value of perfect information on this claim (EVPPI); None if no cost is given.
    """

    claim: str
    beta: tuple[float, float]
    first: float
    total: float
    partial: float | None


def rank_claims(
    argument: Argument,
    person: str,
    target: str | None = None,
    condition: str | None = None,
    cost: float | None = None,
    *,
    n: int = 2**12,
    seed: int = 0,
) -> tuple[list[ClaimWeight], float | None, tuple[str, ...]]:
    """Ranks a person's own claims by their Sobol shares of the answer's variance, under the person's network.

    Args:
        argument: the argument; its values are read as Beta distributions.
        person: the id of the person.
        target, condition: the events in P(target | condition); by default those of the file's query, or no condition if
            only a target is given.
        cost: the cost of an action that avoids the target event, which is the risk; by default no values of perfect
            information are computed.
        n, seed: see `find_sobol_shares`.

    Returns the claims (the largest total share comes first), the expected value of perfect information (EVPI), which is
    None without a cost, and the assumptions. A claim without a
    distribution is fixed at the middle of its interval, and the assumptions name this claim.
    """
    view = argument.read(reading="beta")
    question = view.choose_question(person, target, condition)
    try:
        network = CredalNet.build_for(view.build_polytope(person), *question)
    except MesascopeError as error:
        raise MesascopeError(error.problem, "Rank cruxes instead (without --claims), which needs no network.") from None
    values = {c.id: view.pick_value(c) for c in view.list_claims(person)}
    is_relevant, middle_values = network.find_relevant_entries(*question), network.list_intervals().mean(axis=1)
    free_claims, betas, fixed_claims = [], [], []
    for i, entry in enumerate(network.entries):
        beta = values[entry.id].find_beta() if entry.id in values else None
        if is_relevant[i] and beta is not None:
            free_claims.append(i)
            betas.append(beta)
        elif is_relevant[i] and not entry.is_stated:
            problem = f"{person}'s claims leave {entry.id!r} open, so no share of the uncertainty follows."
            raise MesascopeError(problem, "Add a claim on it, or switch on a bridge: --with NAME.")
        elif is_relevant[i] and entry.high > entry.low:
            fixed_claims.append(entry.id)
    problem = f"No claim of {person} that bears on {question[0]} has a distribution."
    require(bool(free_claims), problem, "State ranges with ~, such as '~10-30%'.")

    def evaluate(x: np.ndarray) -> np.ndarray:
        theta = np.repeat(middle_values[:, None], x.shape[1], axis=1)
        theta[free_claims] = x
        return network.evaluate(theta, *question)

    first, total = find_sobol_shares(evaluate, betas, n, seed)
    partial_values: list[float | None] = [None] * len(free_claims)
    evpi = None
    if cost is not None:
        rng = np.random.default_rng(seed)
        draws = np.stack([rng.beta(a, b, 20_000) for a, b in betas])
        evpi = compute_evpi(evaluate(draws), cost)
        means = np.array([a / (a + b) for a, b in betas])
        base_answer = float(evaluate(means[:, None])[0])
        for k in range(len(free_claims)):
            x = np.repeat(means[:, None], draws.shape[1], axis=1)
            x[k] = draws[k]
            outputs = evaluate(x)  # exact if the answer is linear in each of the other numbers
            partial_values[k] = max(0.0, float(np.maximum(-cost, -outputs).mean() - max(-cost, -base_answer)))
    notes = [INDEPENDENCE_NOTE, "maximum-entropy Betas, independent of each other"]
    if fixed_claims:
        notes.append("fixed at the middle of their intervals, without a distribution: " + ", ".join(fixed_claims))
    ranking = [
        ClaimWeight(network.entries[i].id, betas[k], float(first[k]), float(total[k]), partial_values[k])
        for k, i in enumerate(free_claims)
    ]
    return sorted(ranking, key=lambda w: -w.total), evpi, tuple(notes)
