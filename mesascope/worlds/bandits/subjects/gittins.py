"""Pulls the arm with the largest Gittins index, discounted or for the trials that are left.

The index of an arm is the sure pay-off per trial that is worth as much as the arm with the option to stop
(Gittins 1979). It is found by calibration: the stopping problem is solved for a grid of sure pay-offs, and
the index lies where going on stops being better.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.capabilities import HasArms
from mesascope.contracts.choices import greedy_probabilities, means, outcomes
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.errors import MesascopeError

SURE = np.linspace(0.0, 1.0, 257)  # the grid of sure pay-offs
BEYOND = 100  # pulls past the table, after which the mean counts as known
DEEPEST = 600  # largest table: with more pulls the index is the posterior mean
LONGEST = 200  # longest finite horizon


class Gittins(Scripted):
    """Counts [N, K, 2]; tables of indices by arm, wins and losses (and trials left)."""

    tables: jax.Array  # [P, W, L] or [P, H, W, L]: one per prior, the same for all arms where P is 1
    a: tuple[float, ...]
    b: tuple[float, ...]
    horizon: int  # 0 where the future is discounted

    def fresh(self, n: int) -> jax.Array:
        """No counts."""
        return jnp.zeros((n, len(self.a), 2))

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, looks the indices up; equal ones share evenly."""
        choices = len(self.a)
        carry = carry + outcomes(percept, choices)
        wins, losses = jnp.round(carry[..., 0]).astype(jnp.int32), jnp.round(carry[..., 1]).astype(jnp.int32)
        arm = jnp.arange(choices) % len(self.tables)
        if self.horizon:
            left = self.horizon - (wins + losses).sum(-1, keepdims=True)
            known = left >= 1
            index = self.tables[arm, jnp.clip(left - 1, 0), wins, losses]
        else:
            known = wins + losses < self.tables.shape[-1]
            index = self.tables[arm, wins, losses]
        values = jnp.where(known, index, means(carry, jnp.asarray(self.a), jnp.asarray(self.b)))
        return carry, choose(key, jnp.log(greedy_probabilities(values)))


@functools.lru_cache(maxsize=64)
def discounted_indices(discount: float, depth: int, a: float = 1.0, b: float = 1.0) -> np.ndarray:
    """Indices [wins, losses] under Beta(a, b) for up to depth - 1 pulls."""
    table = np.zeros((depth, depth), np.float32)
    wins = np.arange(depth + BEYOND + 1.0)
    value = np.maximum(SURE, ((wins + a) / (wins[-1] + a + b))[:, None])  # per trial: times 1 - discount
    for n in range(depth + BEYOND - 1, -1, -1):
        p = ((np.arange(n + 1) + a) / (n + a + b))[:, None]
        go_on = (1.0 - discount) * p + discount * (p * value[1:] + (1.0 - p) * value[:-1])
        if n < depth:
            w = np.arange(n + 1)
            table[w, n - w] = _crossing(go_on - SURE)
        value = np.maximum(SURE, go_on)
    return table


@functools.lru_cache(maxsize=8)
def finite_indices(horizon: int, a: float = 1.0, b: float = 1.0) -> np.ndarray:
    """Indices [trials left - 1, wins, losses] under Beta(a, b)."""
    table = np.zeros((horizon, horizon, horizon), np.float32)
    value = np.zeros((horizon + 1, horizon + 1, len(SURE)), np.float32)
    for left in range(1, horizon + 1):
        size = horizon - left + 1
        w = np.arange(size, dtype=np.float32)
        p = ((w[:, None] + a) / (w[:, None] + w + a + b))[..., None]
        go_on = p * (1.0 + value[1 : size + 1, :size]) + (1.0 - p) * value[:size, 1 : size + 1]
        sure = (left * SURE).astype(np.float32)
        table[left - 1, :size, :size] = _crossing(go_on - sure)
        value[:size, :size] = np.maximum(sure, go_on)
    return table


def _crossing(gain: np.ndarray) -> np.ndarray:
    """Where the gain of going on [..., SURE], which falls, is zero; between two grid points on a line."""
    at = np.clip((gain > 0).sum(-1) - 1, 0, len(SURE) - 2)[..., None]
    above = np.take_along_axis(gain, at, -1)[..., 0]
    below = np.take_along_axis(gain, at + 1, -1)[..., 0]
    return SURE[at[..., 0]] + above / (above - below) * (SURE[1] - SURE[0])


@keep_settings(discount=(0, 0.999))
def subject(family: Family, discount: float = 0.98) -> Gittins:
    """Pulls the arm with the largest Gittins index; equal indices share evenly.

    Args:
        family: the bandit; unequal Beta priors are taken from it.
        discount: of the future, per trial, below 1; 0 for the trials left of the family's horizon instead
            (after it the posterior mean counts).
    """
    horizon = 0 if discount else family.horizon
    if horizon > LONGEST:
        raise MesascopeError(
            f"Finite-horizon indices for {horizon} trials are too many to tabulate.",
            f"Take at most {LONGEST} trials, or a discount such as 0.99.",
        )
    shapes = (isinstance(family, HasArms) and family.shapes) or ((1.0, 1.0),) * family.choices
    depth = min(max(split.trials for split in family.splits()), DEEPEST)
    priors = shapes if len(set(shapes)) > 1 else shapes[:1]
    tables = [
        finite_indices(horizon, a, b) if horizon else discounted_indices(discount, depth, a, b)
        for a, b in priors
    ]
    a, b = zip(*shapes, strict=True)
    return Gittins(jnp.asarray(np.stack(tables)), a, b, horizon)
