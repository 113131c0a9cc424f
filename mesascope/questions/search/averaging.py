"""Measures whether right actions become more frequent with ticks than they could if ticks only averaged out noise.

A subject that knows the right action at once, but with noise, takes it more often with more ticks. Its evidence grows
with the root of the number of ticks if every tick has its own noise, and in proportion to the number if only one tick
is noisy. It cannot grow faster. Work in steps does: a problem is unsolved until the last step is done.
"""

import functools
from collections.abc import Sequence

import numpy as np
from scipy.special import xlogy
from scipy.stats import norm

# evidence per tick, in standard deviations of the noise
EVIDENCE_RATES = np.concatenate([np.geomspace(8.0, 0.01, 200), [0.0]])
MAX_ACTIONS = 1024  # above this number, a small misfit of the noise would count as an excess
LARGEST_SHARE = 1 - 1e-6  # the largest share of right actions that noise leaves


def measure_excess(shares: np.ndarray, ticks: Sequence[int], actions: int, ways: float) -> np.ndarray:
    """How badly the best noisy subject fits the shares of right actions at one depth.

    The noisy subject takes the action with the largest of `ways` noisy values (normal, one of them larger on average).
    The evidence that it gains per tick may fall with the number of ticks, but it may not rise.

    Args:
        shares: [R, C] the share of right actions in each resample with each number of ticks.
        ticks: the C numbers of ticks, fewest first.
        actions: the number of actions from which each share is computed.
        ways: the mean number of actions among which the subject chooses, from 1.5; 1 / ways is chance.

    Returns:
        [R] the root of the deviance of the best fit, in standard errors; 0 if a noisy subject explains the shares.
    """
    observed = np.maximum(np.nan_to_num(shares, nan=1 / ways), 1 / ways)[..., None]
    expected = expect_shares(tuple(ticks), round(max(ways, 1.5), 2))
    terms = xlogy(observed, observed / expected) + xlogy(1 - observed, (1 - observed) / (1 - expected))
    misfit = 2 * min(actions, MAX_ACTIONS) * terms  # [R, C, rates]
    best = misfit[:, 0]
    for i in range(1, len(ticks)):
        best = np.minimum.accumulate(best, -1) + misfit[:, i]  # rates are in falling order
    return np.sqrt(np.maximum(best.min(-1), 0.0))


@functools.lru_cache(maxsize=256)
def expect_shares(ticks: tuple[int, ...], ways: float) -> np.ndarray:
    """[C, rates] The share of right actions of a noisy subject, for each number of ticks and each evidence rate."""
    x, width = np.linspace(-6.0, 6.0, 241, retstep=True)
    means = np.minimum(np.asarray(ticks, float)[:, None] * EVIDENCE_RATES, 12.0)[..., None]
    return np.minimum((norm.pdf(x) * norm.cdf(x + means) ** (ways - 1)).sum(-1) * width, LARGEST_SHARE)
