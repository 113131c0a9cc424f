"""Locates its task in the bank of the two-step task, by the mean pay-offs on every trial."""

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
from mesascope.worlds.two_step.mixture import (
    CurrentTrial,
    make_empty_trial,
    read_last_trial,
    require_two_step,
    select_stage_values,
)

MARGIN = 1e-3  # mean pay-offs are kept at least this far from 0 and 1, so that no outcome is impossible


class WorthLocator(ScriptedSubject):
    """Carries the log-likelihoods [N, M] of the bank's tasks, and the trial in progress."""

    steps: int
    common_probability: jax.Array
    bank_payoffs: jax.Array  # [M, T, 2, 2]

    def initialize_carry(self, n: int) -> tuple[jax.Array, CurrentTrial]:
        """Returns the carry under which all tasks of the bank are equally likely."""
        return jnp.zeros((n, len(self.bank_payoffs))), make_empty_trial(n)

    def respond(self, key, carry, percept: Percept):
        """Updates the likelihoods with the last pay-off, then makes the choice with the largest posterior mean."""
        log_likelihood, trial = carry
        last, trial = read_last_trial(percept, trial, self.steps)
        payoffs = jnp.clip(self.bank_payoffs, MARGIN, 1.0 - MARGIN)
        last_index = jnp.clip(percept.trial - 1, 0, payoffs.shape[1] - 1)
        last_payoff = payoffs[:, last_index, last.state, last.second_choice].T  # [N, M]
        update = jnp.where(last.payoff[:, None] > 0.5, jnp.log(last_payoff), jnp.log1p(-last_payoff))
        log_likelihood = log_likelihood + jnp.where(last.has_ended[:, None], update, 0.0)
        index = jnp.clip(percept.trial, 0, payoffs.shape[1] - 1)
        mean = jnp.einsum("nm,mnso->nso", jax.nn.softmax(log_likelihood), payoffs[:, index])
        best = mean.max(-1)
        values = self.common_probability * best + (1.0 - self.common_probability) * best[:, ::-1]
        values = select_stage_values(values, mean, trial, percept, self.steps)
        return (log_likelihood, trial), choose(key, jnp.log(compute_greedy_probabilities(values)))


@keep_settings
def subject(family: Family) -> WorthLocator:
    """Locates its task in the family's bank, by the mean pay-offs on every trial.

    Args:
        family: the two-step task, with a bank.
    """
    task = require_two_step(family)
    remedy = "Use --family two_step:bank=4."
    bank, payoffs = require_bank(task, task.bank_payoffs, "has no bank of pay-off paths", remedy)
    return WorthLocator(task.steps, task.common_probability, payoffs, trained_on=bank)
