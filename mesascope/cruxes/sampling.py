"""Second-order answers: draws entries from Betas, and computes the exact answer for every draw."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes.credal import CredalNet
from mesascope.cruxes.language import SURE, Event
from mesascope.errors import MesascopeError

_CHUNK_SIZE = 2**15


@dataclass(frozen=True)
class Draws:
    """Second-order answers: one exact probability per draw.

    Args:
        low, high: the least and greatest answer over the vertices in each draw, [draws]. They are equal if every entry
            has a distribution.
        vertices: ids of the entries without a distribution, which take both ends of their intervals in each draw.
    """

    low: np.ndarray
    high: np.ndarray
    vertices: tuple[str, ...]

    def mean(self) -> tuple[float, float]:
        """The mean probability, as an interval if some entries have no distribution."""
        return float(self.low.mean()), float(self.high.mean())

    def quantiles(self) -> tuple[float, float]:
        """The 5 % quantile of the lower ends, and the 95 % quantile of the upper ends."""
        return float(np.quantile(self.low, 0.05)), float(np.quantile(self.high, 0.95))


def draw_answers(
    network: CredalNet,
    betas: Sequence[tuple[float, float] | None],
    event: Event,
    condition: Event = SURE,
    draws: int = 100_000,
    *,
    seed: int = 0,
) -> Draws | None:
    """Draw entries independently, and compute the exact answer for each draw.

    Args:
        network: the network.
        betas: the Beta parameters (a, b) of each entry, or None if the entry has no distribution.
        event, condition: the question.
        draws, seed: the number of draws and the random seed.

    Returns `Draws`, or None if the condition cannot happen. Without a condition the mean equals the value at the
    mean entries, because the query is multilinear; with a condition it does not.
    """
    spans = network.list_intervals()
    moves = network.find_relevant_entries(event, condition)
    sets = [int(i) for i in np.flatnonzero(moves) if betas[int(i)] is None and spans[i, 1] > spans[i, 0]]
    if len(sets) > 10:
        raise MesascopeError(
            f"{len(sets)} numbers have no distribution; sampling allows at most 10.", "Ask with --engine credal."
        )
    rng = np.random.default_rng(seed)
    lows, highs = [], []
    for start in range(0, draws, _CHUNK_SIZE):
        n = min(_CHUNK_SIZE, draws - start)
        theta = np.repeat(spans.mean(axis=1, keepdims=True), n, axis=1)
        for i, beta in enumerate(betas):
            if beta is not None and moves[i]:
                theta[i] = rng.beta(*beta, n)
        low, high = np.full(n, np.inf), np.full(n, -np.inf)
        for code in range(2 ** len(sets)):
            for j, i in enumerate(sets):
                theta[i] = spans[i, (code >> j) & 1]
            values = network.evaluate(theta, event, condition)
            low, high = np.fmin(low, values), np.fmax(high, values)
        lows.append(low)
        highs.append(high)
    low, high = np.concatenate(lows), np.concatenate(highs)
    if not np.isfinite(low).all():
        return None
    return Draws(low, high, tuple(network.entries[i].id for i in sets))
