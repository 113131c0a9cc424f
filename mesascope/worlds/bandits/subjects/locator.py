"""Locates its task among the tasks of the family's bank, and samples from the posterior over them.

It is the ideal of a subject that has stored its training tasks and nothing else. On a fresh task it pulls the best arms
of the training tasks.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts.capabilities import HasArmsBank
from mesascope.contracts.choices import greedy_probabilities, mix_lapse, outcomes
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings, require_bank

EDGE = 1e-4  # means are kept at least this far from 0 and 1, so that no outcome is impossible


class Locator(Scripted):
    """Carries counts [N, K, 2]. The bank is an array, so banks of equal size share compiled code."""

    bank_means: jax.Array  # [M, K]
    minimise: bool
    lapse: float

    def fresh(self, n: int) -> jax.Array:
        """No counts, so all tasks of the bank are equally likely."""
        return jnp.zeros((n, self.bank_means.shape[1], 2))

    def respond(self, key, carry, percept: Percept):
        """Draws a task from the posterior and pulls its best arm."""
        carry = carry + outcomes(percept, self.bank_means.shape[1])
        p = jnp.clip(self.bank_means, EDGE, 1.0 - EDGE)
        posterior = jax.nn.softmax(carry[..., 0] @ jnp.log(p).T + carry[..., 1] @ jnp.log1p(-p).T)
        best = greedy_probabilities(-self.bank_means if self.minimise else self.bank_means)
        return carry, choose(key, mix_lapse(posterior @ best, self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, minimise: bool = False, lapse: float = 0.0) -> Locator:
    """Locates its task among the tasks of the family's bank.

    Args:
        family: a bandit with a bank.
        minimise: whether to pull the arm with the smallest mean instead.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    means = family.bank_means if isinstance(family, HasArmsBank) else None
    remedy = "Use e.g. --family bernoulli_bandit:bank=4."
    bank, means = require_bank(family, means, "has no bank of arms' means to locate a task in", remedy)
    return Locator(means, minimise, lapse, trained_on=bank)
