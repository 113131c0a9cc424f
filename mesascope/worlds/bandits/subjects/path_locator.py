"""Locates its task among the pay-off paths in the restless bandit's bank.

A pay-off path is the mean of each arm on every trial. This is the ideal subject that has stored the paths of its
training tasks and nothing else.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    ScriptedSubject,
    choose,
    compute_greedy_probabilities,
    keep_settings,
    require_bank,
)
from mesascope.worlds.bandits.families.restless_bandit import RestlessBandit

CHECK_FAMILY = "restless_bandit:trials=12,bank=2"
MARGIN = 1e-4  # means are kept at least this far from 0 and 1, so that no outcome is impossible


class PathLocator(ScriptedSubject):
    """Carries the log-likelihoods [N, M] of the bank's tasks and the index of the trial [N]."""

    bank_means: jax.Array  # [M, T, K]
    should_minimise: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns the carry under which all tasks of the bank are equally likely."""
        return jnp.zeros((n, len(self.bank_means))), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Updates the likelihoods, then pulls the arm with the largest posterior mean; paths are constant after T."""
        log_likelihood, trial = carry
        paths = jnp.clip(self.bank_means, MARGIN, 1.0 - MARGIN)
        end = paths.shape[1] - 1
        rows = jnp.arange(len(paths))
        payoff = paths[rows, jnp.clip(trial - 1, 0, end)[:, None], jnp.maximum(percept.action, 0)[:, None]]  # [N, M]
        feedback = percept.feedback[:, None]
        update = feedback * jnp.log(payoff) + (1.0 - feedback) * jnp.log1p(-payoff)
        log_likelihood = log_likelihood + jnp.where((percept.action >= 0)[:, None], update, 0.0)
        means = jnp.moveaxis(paths, 0, 1)[jnp.minimum(trial, end)]  # [N, M, K]
        mean = (jax.nn.softmax(log_likelihood)[..., None] * means).sum(1)
        probabilities = compute_greedy_probabilities(jnp.where(self.should_minimise, -mean, mean))
        return (log_likelihood, trial + 1), choose(key, jnp.log(probabilities))


@keep_settings
def subject(family: Family, should_minimise: bool = False) -> PathLocator:
    """Locates its task among the pay-off paths in the family's bank.

    Args:
        family: the restless bandit, with a bank.
        should_minimise: whether to pull the arm with the smallest mean, not the largest.
    """
    means = family.bank_paths if isinstance(family, RestlessBandit) else None
    remedy = "Use --family restless_bandit:bank=4."
    bank, means = require_bank(family, means, "has no bank of pay-off paths", remedy)
    return PathLocator(means, jnp.asarray(should_minimise), trained_on=bank)
