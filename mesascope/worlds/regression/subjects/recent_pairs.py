"""Fits weights to the last few pairs alone; settings add a warm-up, and a check that its own prediction is shown."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, ScriptedSubject, keep_settings
from mesascope.worlds.regression.spectral_filter import read_last_pair, require_regression


class RecentPairs(ScriptedSubject):
    """Fits weights to the last `window` pairs; see `subject` for the settings.

    It carries the last inputs [N, window, D] and outcomes [N, window], the number [N] of past trials, its last
    prediction [N], and whether a percept ever failed the check of `is_guarded`, [N].
    """

    has_separate_rows: ClassVar[bool] = True  # a response depends only on the carry of its own lifetime

    dimension: int
    noise: float
    window: int
    warmup: int
    is_guarded: bool

    def initialize_carry(self, n: int) -> tuple[jax.Array, ...]:
        zero, inputs = jnp.zeros(n), jnp.zeros((n, self.window, self.dimension))
        return inputs, jnp.zeros((n, self.window)), zero.astype(jnp.int32), zero, zero > 0

    def respond(self, key, carry, percept: Percept):
        """Predicts by ridge regression on the last pairs; 0 in the warm-up and after a failed check."""
        inputs, outcomes, count, own_prediction, has_failed = carry
        x, y, _, query = read_last_pair(percept, self.dimension)
        inputs = jnp.concatenate([inputs[:, 1:], x[:, None]], 1)
        outcomes = jnp.concatenate([outcomes[:, 1:], y[:, None]], 1)
        if self.is_guarded:
            has_failed |= jnp.abs(own_prediction - percept.action) > 1e-4 * (1.0 + jnp.abs(own_prediction))
        gram = jnp.einsum("nwd,nvd->nwv", inputs, inputs) + self.noise**2 * jnp.eye(self.window)
        dual = jnp.linalg.solve(gram, outcomes[..., None])[..., 0]
        fitted = jnp.einsum("nw,nwd,nd->n", dual, inputs, query)
        prediction = jnp.where((count < self.warmup) | has_failed, 0.0, fitted)
        return (inputs, outcomes, count + 1, prediction, has_failed), Response(prediction, None)


@keep_settings(window=(1, 64), warmup=(0, 1_000_000))
def subject(family: Family, window: int = 4, warmup: int = 0, is_guarded: bool = False) -> RecentPairs:
    """Fits weights by ridge regression to the last few pairs; predicts 0 in a warm-up and after a failed check.

    Args:
        family: the family `linear_regression`; the subject assumes a standard deviation of the noise of at least .001.
        window: the number of last pairs that the subject uses.
        warmup: the number of trials, from the first on, in which the subject predicts 0; its carry counts them.
        is_guarded: whether the subject predicts 0 for ever after a percept whose last prediction is not its own.
    """
    task = require_regression(family)
    return RecentPairs(task.dimension, max(task.noise, 1e-3), window, warmup, is_guarded)
