"""Which number matters: Sobol shares of variance, and what perfect information on one number is worth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.credal import INDEPENDENCE, CredalNet
from mesascope.errors import MesascopeError


def share_variance(
    function: Callable[[np.ndarray], np.ndarray],
    betas: Sequence[tuple[float, float]],
    n: int = 2**12,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """First-order and total Sobol shares of any function of independent Betas, by scipy's estimator.

    Args:
        function: [inputs, draws] -> [draws].
        betas: (a, b) per input.
        n: a power of two; the function is evaluated n·(inputs + 2) times.
        seed: of the scrambling.
    """
    if len(betas) == 1:  # one input has the whole variance
        return np.ones(1), np.ones(1)
    from scipy.stats import beta, sobol_indices

    found = sobol_indices(
        func=lambda x: function(x)[None, :],
        n=n,
        dists=[beta(a, b) for a, b in betas],  # type: ignore[arg-type]
        rng=np.random.default_rng(seed),
    )
    return np.ravel(found.first_order), np.ravel(found.total_order)


def value_perfect(outcomes: np.ndarray, cost: float) -> float:
    """EVPI of acting at a cost or bearing the risk Y: E max(-c, -Y) - max(-c, -E Y), from draws."""
    return max(0.0, float(np.maximum(-cost, -outcomes).mean() - max(-cost, -outcomes.mean())))


@dataclass(frozen=True)
class Weight:
    """How much one claim's uncertainty matters for the answer: Sobol shares, and EVPPI at a cost."""

    claim: str
    beta: tuple[float, float]
    first: float
    total: float
    partial: float | None


def rank_claims(
    argument: Argument,
    person: str,
    target: str | None = None,
    given: str | None = None,
    cost: float | None = None,
    *,
    n: int = 2**12,
    seed: int = 0,
) -> tuple[list[Weight], float | None, tuple[str, ...]]:
    """Sobol shares (and EVPPI, EVPI at a cost) of a person's own claims for the target, under their network.

    Args:
        argument: the argument; values are read as Betas.
        person, target, given: the question; the file's query where left out.
        cost: of acting against the risk that the target is.
        n, seed: of the quasi-random points.

    Returns the claims, largest total share first; the EVPI; and what was assumed. Claims without a
    distribution are held at the middle of their sets, and named.
    """
    view = argument.read(reading="beta")
    event, condition = view.default_question(person, target, given)
    network = CredalNet.about(view.polytope(person), event, condition)
    values = {c.id: view.value_of(c) for c in view.numeric_claims(person)}
    moves, middle = network.relevant(event, condition), network.spans().mean(axis=1)
    free, betas, held = [], [], []
    for i, entry in enumerate(network.entries):
        beta = values[entry.id].beta() if entry.id in values else None
        if moves[i] and beta is not None:
            free.append(i)
            betas.append(beta)
        elif moves[i] and entry.high > entry.low:
            held.append(entry.id)
    if not free:
        raise MesascopeError(
            f"No claim of {person} that bears on {event} has a distribution.", "Use ranges with ~."
        )

    def outcome(x: np.ndarray) -> np.ndarray:
        theta = np.repeat(middle[:, None], x.shape[1], axis=1)
        theta[free] = x
        return network.evaluate(theta, event, condition)

    first, total = share_variance(outcome, betas, n, seed)
    partial: list[float | None] = [None] * len(free)
    whole = None
    if cost is not None:
        rng = np.random.default_rng(seed)
        draws = np.stack([rng.beta(a, b, 20_000) for a, b in betas])
        whole = value_perfect(outcome(draws), cost)
        means = np.array([a / (a + b) for a, b in betas])
        base = float(outcome(means[:, None])[0])
        for k in range(len(free)):
            x = np.repeat(means[:, None], draws.shape[1], axis=1)
            x[k] = draws[k]
            expected = outcome(x)  # exact where the answer is linear in each other number
            partial[k] = max(0.0, float(np.maximum(-cost, -expected).mean() - max(-cost, -base)))
    notes = [INDEPENDENCE, "maximum-entropy Betas, independent of each other"]
    if held:
        notes.append("held at the middle of their sets, having no distribution: " + ", ".join(held))
    found = [
        Weight(network.entries[i].id, betas[k], float(first[k]), float(total[k]), partial[k])
        for k, i in enumerate(free)
    ]
    return sorted(found, key=lambda w: -w.total), whole, tuple(notes)
