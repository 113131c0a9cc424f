"""The discrete minimum mean squared error estimator: the posterior mean of w over the M tasks of the bank.

Raventós et al. (2023, arXiv 2306.15063, eq. 3): what is best on the training tasks, and can do no other.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import (
    Family,
    Percept,
    Response,
    Scripted,
    as_arrays,
    keep_settings,
    require_bank,
)
from mesascope.worlds.regression.regression import TRIED as TRIED
from mesascope.worlds.regression.regression import last_pair, require_regression

EXACT = 1e-3  # standard deviation that stands for no noise: likelihoods stay finite


class Dmmse(Scripted):
    """Log-likelihoods [N, M] of the bank's tasks; the bank and its seed are data."""

    bank_weights: jax.Array  # [M, D]
    noise: jax.Array
    sign: jax.Array

    def fresh(self, n: int) -> jax.Array:
        """Every task of the bank is as likely as any other."""
        return jnp.zeros((n, len(self.bank_weights)))

    def respond(self, key, carry, percept: Percept):
        """Weighs the tasks by the last pair, then predicts with their mean."""
        pair = last_pair(percept, self.bank_weights.shape[1])
        off = pair.y[:, None] - pair.x @ self.bank_weights.T
        carry = carry - 0.5 * jnp.square(off / self.noise)
        mean = jax.nn.softmax(carry) @ self.bank_weights
        return carry, Response(self.sign * (mean * pair.query).sum(-1), None)


@keep_settings(noise=(-1, 1e6))
def subject(family: Family, noise: float = -1.0, minimise: bool = False) -> Dmmse:
    """The posterior mean over the tasks of the family's bank: it locates its task among them.

    Args:
        family: in-context regression, with a bank.
        noise: standard deviation that it reckons with; -1 for the family's.
        minimise: predict the opposite.
    """
    home = require_regression(family)
    remedy = "Give it one: linear_regression:bank=4."
    bank, weights = require_bank(home, home.bank_weights, "has no bank", remedy)
    reckoned = max(home.noise if noise < 0 else noise, EXACT)
    numbers = as_arrays(noise=reckoned, sign=-1.0 if minimise else 1.0)
    return Dmmse(weights, **numbers, trained_on=bank)
