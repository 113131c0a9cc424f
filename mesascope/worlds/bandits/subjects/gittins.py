"""Pulls the arm with the largest Gittins index, computed either with discounting or for the remaining trials.

The index of an arm is the certain pay-off per trial that is worth as much as the arm with the option to stop (Gittins
1979). The code finds the index by calibration: it solves the stopping problem for a grid of certain pay-offs, and the
index is the pay-off at which stopping becomes as good as continuing.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Family, HasArms, Percept, choose, keep_settings
from mesascope.contracts.choices import (
    CountingSubject,
    compute_greedy_probabilities,
    compute_posterior_means,
    count_last_outcome,
)
from mesascope.errors import MesascopeError

CERTAIN_PAYOFFS = np.linspace(0.0, 1.0, 257)  # the grid of certain pay-offs
EXTRA_PULLS = 100  # pulls beyond the table, after which the code treats an arm's mean as known
MAX_DEPTH = 600  # the largest size of a table; from that many pulls of an arm on, its posterior mean replaces the index
MAX_HORIZON = 200  # the longest finite horizon


class Gittins(CountingSubject):
    """Carries counts [N, K, 2]; looks up indices in tables by arm, wins and losses (and remaining trials)."""

    tables: jax.Array  # by prior, [remaining trials,] wins and losses; with a single prior, all arms use the same table
    a: tuple[float, ...]
    b: tuple[float, ...]
    horizon: int  # 0 if the future is discounted

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome and pulls the arm with the largest index; ties are equally likely."""
        carry = carry + count_last_outcome(percept, self.choices)
        wins, losses = (jnp.round(carry[..., i]).astype(jnp.int32) for i in (0, 1))
        arm = jnp.arange(self.choices) % len(self.tables)
        if self.horizon:
            remaining = self.horizon - (wins + losses).sum(-1, keepdims=True)
            is_tabulated = remaining >= 1
            index = self.tables[arm, jnp.clip(remaining - 1, 0), wins, losses]
        else:
            is_tabulated = wins + losses < self.tables.shape[-1]
            index = self.tables[arm, wins, losses]
        values = jnp.where(
            is_tabulated, index, compute_posterior_means(carry, jnp.asarray(self.a), jnp.asarray(self.b))
        )
        return carry, choose(key, jnp.log(compute_greedy_probabilities(values)))


@functools.lru_cache(maxsize=64)
def compute_discounted_indices(discount: float, depth: int, a: float = 1.0, b: float = 1.0) -> np.ndarray:
    """Computes discounted indices [depth, depth] by wins and losses, for up to depth - 1 pulls of an arm.

    The prior of the arm is Beta(a, b).
    """
    table = np.zeros((depth, depth), np.float32)
    wins = np.arange(depth + EXTRA_PULLS + 1.0)
    # values are pay-offs per trial, that is, sums of pay-offs times 1 - discount
    value = np.maximum(CERTAIN_PAYOFFS, ((wins + a) / (wins[-1] + a + b))[:, None])
    for n in range(depth + EXTRA_PULLS - 1, -1, -1):
        p = ((np.arange(n + 1) + a) / (n + a + b))[:, None]
        continuation_value = (1.0 - discount) * p + discount * (p * value[1:] + (1.0 - p) * value[:-1])
        if n < depth:
            w = np.arange(n + 1)
            table[w, n - w] = _find_crossing(continuation_value - CERTAIN_PAYOFFS)
        value = np.maximum(CERTAIN_PAYOFFS, continuation_value)
    return table


@functools.lru_cache(maxsize=8)
def compute_finite_indices(horizon: int, a: float = 1.0, b: float = 1.0) -> np.ndarray:
    """Computes finite-horizon indices [remaining trials - 1, wins, losses] under the prior Beta(a, b)."""
    table = np.zeros((horizon, horizon, horizon), np.float32)
    value = np.zeros((horizon + 1, horizon + 1, len(CERTAIN_PAYOFFS)), np.float32)
    for remaining in range(1, horizon + 1):
        size = horizon - remaining + 1
        w = np.arange(size, dtype=np.float32)
        p = ((w[:, None] + a) / (w[:, None] + w + a + b))[..., None]
        continuation_value = p * (1.0 + value[1 : size + 1, :size]) + (1.0 - p) * value[:size, 1 : size + 1]
        stopping_value = (remaining * CERTAIN_PAYOFFS).astype(np.float32)
        table[remaining - 1, :size, :size] = _find_crossing(continuation_value - stopping_value)
        value[:size, :size] = np.maximum(stopping_value, continuation_value)
    return table


def _find_crossing(gain: np.ndarray) -> np.ndarray:
    """Finds the certain pay-off [...] at which the gain from continuing [..., grid] falls to 0, by interpolation."""
    index = np.clip((gain > 0).sum(-1) - 1, 0, len(CERTAIN_PAYOFFS) - 2)[..., None]
    above = np.take_along_axis(gain, index, -1)[..., 0]
    below = np.take_along_axis(gain, index + 1, -1)[..., 0]
    return CERTAIN_PAYOFFS[index[..., 0]] + above / (above - below) * (CERTAIN_PAYOFFS[1] - CERTAIN_PAYOFFS[0])


@keep_settings(discount=(0, 0.999))
def subject(family: Family, discount: float = 0.98) -> Gittins:
    """Pulls the arm with the largest Gittins index; ties are equally likely.

    Args:
        family: the bandit; if its arms have different Beta priors, these are used.
        discount: the factor, at most .999, by which later pay-offs are discounted per trial. With 0, finite-horizon
            indices are used up to the family's horizon, and the posterior mean after it.
    """
    horizon = 0 if discount else family.horizon
    if horizon > MAX_HORIZON:
        raise MesascopeError(
            f"Finite-horizon indices for {horizon} trials are too many to tabulate.",
            f"Use at most {MAX_HORIZON} trials, or a discount such as 0.99.",
        )
    shapes = (isinstance(family, HasArms) and family.shapes) or ((1.0, 1.0),) * family.choices
    depth = min(max(split.trial_count for split in family.list_splits()), MAX_DEPTH)
    priors = shapes if len(set(shapes)) > 1 else shapes[:1]
    tables = [
        compute_finite_indices(horizon, a, b) if horizon else compute_discounted_indices(discount, depth, a, b)
        for a, b in priors
    ]
    a, b = zip(*shapes, strict=True)
    return Gittins(family.choices, jnp.asarray(np.stack(tables)), a, b, horizon)
