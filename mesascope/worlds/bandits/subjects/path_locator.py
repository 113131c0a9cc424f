"""Locates its task among the lifetimes of pay-offs in the bank of the restless bandit, and pulls what pays most there.

The ideal of a subject that holds whole lifetimes of its training tasks and nothing else.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings, require_bank
from mesascope.worlds.bandits.families.restless_bandit import RestlessBandit

TRIED = "restless_bandit:trials=12,bank=2"
EDGE = 1e-4  # means are kept this far from 0 and 1: no outcome is impossible


class PathLocator(Scripted):
    """Log-likelihoods [N, M] of the bank's tasks and the trial [N]; the bank and its seed are data."""

    bank_means: jax.Array  # [M, T, K]
    minimise: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Every task of the bank is as likely as any other."""
        return jnp.zeros((n, len(self.bank_means))), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Weighs the tasks by the last outcome, then pulls what pays most on average now; past T, as at its end."""
        likely, trial = carry
        paths = jnp.clip(self.bank_means, EDGE, 1.0 - EDGE)
        end = paths.shape[1] - 1
        rows = jnp.arange(len(paths))
        pays = paths[
            rows, jnp.clip(trial - 1, 0, end)[:, None], jnp.maximum(percept.action, 0)[:, None]
        ]  # [N, M]
        won = percept.feedback[:, None]
        seen = (percept.action >= 0)[:, None]
        likely = likely + jnp.where(seen, won * jnp.log(pays) + (1.0 - won) * jnp.log1p(-pays), 0.0)
        now = jnp.moveaxis(paths, 0, 1)[jnp.minimum(trial, end)]  # [N, M, K]
        mean = (jax.nn.softmax(likely)[..., None] * now).sum(1)
        probabilities = greedy_probabilities(jnp.where(self.minimise, -mean, mean))
        return (likely, trial + 1), choose(key, jnp.log(probabilities))


@keep_settings
def subject(family: Family, minimise: bool = False) -> PathLocator:
    """Locates its task among the lifetimes of pay-offs in the family's bank.

    Args:
        family: the restless bandit, with a bank.
        minimise: pull the arm that pays least.
    """
    means = family.bank_means if isinstance(family, RestlessBandit) else None
    remedy = "Take --family restless_bandit:bank=4."
    bank, means = require_bank(family, means, "has no bank of lifetimes of pay-offs", remedy)
    return PathLocator(means, jnp.asarray(minimise), trained_on=bank)
