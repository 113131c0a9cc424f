"""Measures whether correct actions become more frequent with more ticks, beyond what averaging out noise could explain.

A subject that knows the correct action at once, but with noise, takes it more often with more ticks. Its evidence grows
with the square root of the number of ticks if every tick has its own noise, and in proportion to this number if only
one tick is noisy. Evidence from averaging cannot grow faster. Computation in steps can exceed this growth, because a
problem is unsolved until the last step is done.
"""

import functools
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, xlogy

# evidence per tick, in standard deviations of the noise
EVIDENCE_RATES = np.concatenate([np.geomspace(8.0, 0.01, 200), [0.0]])
MAX_ACTIONS = 1024  # more actions count as this many, because otherwise slight errors of the noise model would count
LARGEST_SHARE = 1 - 1e-6  # the largest share of correct actions that a noisy subject can reach


def measure_misfit(shares: np.ndarray, ticks: Sequence[int], action_count: int, mean_choices: float) -> np.ndarray:
    """Measures how badly even the best-fitting noisy subject explains the shares of correct actions at one depth.

    The noisy subject has one normally distributed value for each of `mean_choices` actions, and takes the action with
    the largest value. The value of the correct action is larger on average. The evidence that the subject gains per
    tick may fall with the number of ticks, but it may not rise.

    Args:
        shares: [R, C] the share of correct actions in each of R resamples with each of C numbers of ticks.
        ticks: the C numbers of ticks, fewest first.
        action_count: the number of actions from which each share is computed.
        mean_choices: the mean number of actions among which the subject chooses; its inverse is the chance level.

    Returns:
        The square root of the deviance of the best fit, in standard errors, for each of R resamples; 0 if a noisy
        subject explains the shares.
    """
    observed = np.maximum(np.nan_to_num(shares, nan=1 / mean_choices), 1 / mean_choices)[..., None]
    expected = compute_expected_shares(tuple(ticks), round(max(mean_choices, 1.5), 2))
    terms = xlogy(observed, observed / expected) + xlogy(1 - observed, (1 - observed) / (1 - expected))
    misfit = 2 * min(action_count, MAX_ACTIONS) * terms  # [R, C, rates]
    best = misfit[:, 0]
    for i in range(1, len(ticks)):
        best = np.minimum.accumulate(best, -1) + misfit[:, i]  # rates are in falling order
    return np.sqrt(np.maximum(best.min(-1), 0.0))


@functools.lru_cache(maxsize=256)
def compute_expected_shares(ticks: tuple[int, ...], mean_choices: float) -> np.ndarray:
    """Computes a noisy subject's share of correct actions for each number of ticks (rows) and evidence rate (columns).

    Args:
        ticks: the numbers of ticks.
        mean_choices: the mean number of actions among which the subject chooses.
    """
    x, width = np.linspace(-6.0, 6.0, 241, retstep=True)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    means = np.minimum(np.asarray(ticks, float)[:, None] * EVIDENCE_RATES, 12.0)[..., None]
    return np.minimum((density * ndtr(x + means) ** (mean_choices - 1)).sum(-1) * width, LARGEST_SHARE)
