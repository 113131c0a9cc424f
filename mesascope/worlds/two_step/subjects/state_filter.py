"""The exact Bayes filter of the two-step task: it infers the good state and makes the choice that commonly leads there.

The filter does not plan, because its mapping from belief to choice is fixed and assumes the transitions of training.
Its stay probabilities still look like those of a planner (Akam et al. 2015). The filter ignores announcements.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    ScriptedSubject,
    choose,
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    keep_settings,
)
from mesascope.errors import MesascopeError
from mesascope.worlds.two_step.mixture import CurrentTrial, make_empty_trial, read_last_trial, require_two_step

MARGIN = 1e-3  # mean pay-offs are kept at least this far from 0 and 1, so that no outcome is impossible


class StateFilter(ScriptedSubject):
    """Carries the probability [N] that the second state is the good one, and the trial in progress."""

    steps: int
    payoffs: jax.Array
    switch_probability: jax.Array
    lapse: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, CurrentTrial]:
        """Returns the carry under which both states are equally likely to be good."""
        return jnp.full(n, 0.5), make_empty_trial(n)

    def respond(self, key, carry, percept: Percept):
        """Updates the belief with the last pay-off, then makes the choice that commonly leads to the better state."""
        belief, trial = carry
        last, trial = read_last_trial(percept, trial, self.steps)
        high, low = jnp.clip(self.payoffs, MARGIN, 1.0 - MARGIN)
        has_paid = last.payoff > 0.5
        likelihood_good, likelihood_bad = (jnp.where(has_paid, p, 1.0 - p) for p in (high, low))
        is_second_state = last.state == 1
        second_weight = belief * jnp.where(is_second_state, likelihood_good, likelihood_bad)
        first_weight = (1.0 - belief) * jnp.where(is_second_state, likelihood_bad, likelihood_good)
        posterior = second_weight / (second_weight + first_weight)
        posterior = posterior * (1.0 - self.switch_probability) + (1.0 - posterior) * self.switch_probability
        belief = jnp.where(last.has_ended, posterior, belief)
        probabilities = compute_greedy_probabilities(jnp.stack([1.0 - belief, belief], -1))
        return (belief, trial), choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0) -> StateFilter:
    """Infers which state is the good one, and makes the first choice that commonly leads to it.

    Args:
        family: the two-step task, but not its version 'daw'.
        lapse: the probability of choosing uniformly at random.
    """
    task = require_two_step(family)
    if task.version == "daw":
        raise MesascopeError(
            f"{family.name} has no single good state, because its pay-offs drift.", "Use version=2018 or version=2016."
        )
    return StateFilter(task.steps, task.payoffs, task.switch_probability, jnp.asarray(lapse, jnp.float32))
