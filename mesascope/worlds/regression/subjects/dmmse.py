"""Predicts with the posterior mean of w over the M tasks of the bank (discrete minimum mean squared error).

These predictions are optimal on the training tasks and cannot adapt to other tasks (Raventós et al. 2023, arXiv
2306.15063, eq. 3).
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    Response,
    ScriptedSubject,
    convert_to_arrays,
    keep_settings,
    require_bank,
)
from mesascope.worlds.regression.spectral_filter import read_last_pair, require_regression

MIN_NOISE = 1e-3  # the smallest standard deviation assumed for the noise, so that likelihoods are finite


class Dmmse(ScriptedSubject):
    """Carries the log-likelihoods of the bank's tasks, [N, M]; the bank is an array."""

    bank_weights: jax.Array  # [M, D]
    noise: jax.Array
    sign: jax.Array

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns equal log-likelihoods for all tasks of the bank."""
        return jnp.zeros((n, len(self.bank_weights)))

    def respond(self, key, carry, percept: Percept):
        """Updates the likelihoods with the last pair, then predicts with the posterior mean."""
        x, y, _, query = read_last_pair(percept, self.bank_weights.shape[1])
        error = y[:, None] - x @ self.bank_weights.T
        carry = carry - 0.5 * jnp.square(error / self.noise)
        mean = jax.nn.softmax(carry) @ self.bank_weights
        return carry, Response(self.sign * (mean * query).sum(-1), None)


@keep_settings(noise=(-1, 1e6))
def subject(family: Family, noise: float = -1.0, should_minimise: bool = False) -> Dmmse:
    """Locates its task among the tasks of the family's bank, and predicts with the posterior mean over these tasks.

    Args:
        family: the family `linear_regression`, with a bank.
        noise: the standard deviation of the noise that the subject assumes, at least .001; if negative, that of the
            family.
        should_minimise: whether the subject predicts with the opposite sign.
    """
    regression = require_regression(family)
    remedy = "Give the family a bank: linear_regression:bank=4."
    bank, weights = require_bank(regression, regression.bank_weights, "has no bank", remedy)
    noise = max(regression.noise if noise < 0 else noise, MIN_NOISE)
    return Dmmse(weights, **convert_to_arrays(noise=noise, sign=-1.0 if should_minimise else 1.0), trained_on=bank)
