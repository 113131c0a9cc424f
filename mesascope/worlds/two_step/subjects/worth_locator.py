"""Locates its task among the pay-off paths in the bank of the two-step task."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings, require_bank
from mesascope.worlds.two_step.learning import OpenTrial, open_trial, read_last_trial, require_two_step

TRIED = "two_step:trials=12,bank=2"
MARGIN = 1e-3  # mean pay-offs are kept at least this far from 0 and 1, so that no outcome is impossible


class WorthLocator(Scripted):
    """Carries the log-likelihoods [N, M] of the bank's tasks."""

    steps: int
    usual: jax.Array
    bank_worth: jax.Array  # [M, T, 2, 2]

    def fresh(self, n: int) -> tuple[jax.Array, OpenTrial]:
        """All tasks of the bank are equally likely."""
        return jnp.zeros((n, len(self.bank_worth))), open_trial(n)

    def respond(self, key, carry, percept: Percept):
        """Updates the likelihoods with the last pay-off, then chooses what has the largest posterior mean now."""
        log_likelihood, trial = carry
        last, trial = read_last_trial(percept, trial, self.steps)
        worth = jnp.clip(self.bank_worth, MARGIN, 1.0 - MARGIN)
        last_index = jnp.clip(percept.trial - 1, 0, worth.shape[1] - 1)
        pays = worth[:, last_index, last.place, last.second].T  # [N, M]
        update = jnp.where(last.paid[:, None] > 0.5, jnp.log(pays), jnp.log1p(-pays))
        log_likelihood = log_likelihood + jnp.where(last.ended[:, None], update, 0.0)
        index = jnp.clip(percept.trial, 0, worth.shape[1] - 1)
        mean = jnp.einsum("nm,mnso->nso", jax.nn.softmax(log_likelihood), worth[:, index])
        best = mean.max(-1)
        values = self.usual * best + (1.0 - self.usual) * best[:, ::-1]
        if self.steps == 2:
            second = mean[jnp.arange(len(trial.place)), trial.place]
            values = jnp.where((percept.step == 0)[:, None], values, second)
        return (log_likelihood, trial), choose(key, jnp.log(greedy_probabilities(values)))


@keep_settings
def subject(family: Family) -> WorthLocator:
    """Locates its task among the pay-off paths in the family's bank.

    Args:
        family: the two-step task, with a bank.
    """
    home = require_two_step(family)
    remedy = "Use --family two_step:bank=4."
    bank, worth = require_bank(home, home.bank_worth, "has no bank of pay-off paths", remedy)
    return WorthLocator(home.steps, home.usual, worth, trained_on=bank)
