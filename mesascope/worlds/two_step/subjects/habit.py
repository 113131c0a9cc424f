"""Strengthens first choices that paid more than the recent mean (Thorndike 1911; REINFORCE, Williams 1992)."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, convert_to_arrays, keep_settings
from mesascope.worlds.two_step.mixture import CurrentTrial, make_empty_trial, read_last_trial, require_two_step


class Habit(ScriptedSubject):
    """Carries the tendency [N, K] to make each first choice and the running mean pay-off [N], but no values."""

    steps: int
    rate: jax.Array
    mean_rate: jax.Array
    bound: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, CurrentTrial]:
        """Returns equal tendencies to make each choice, and a running mean of 0.5."""
        return jnp.zeros((n, 2)), jnp.full(n, 0.5), make_empty_trial(n)

    def respond(self, key, carry, percept: Percept):
        """Strengthens the previous first choice by its pay-off minus the running mean, then chooses by softmax."""
        tendencies, mean, trial = carry
        last, trial = read_last_trial(percept, trial, self.steps)
        error = last.has_ended.astype(jnp.float32) * (last.payoff - mean)
        gradient = jax.nn.one_hot(last.first_choice, 2) - jax.nn.softmax(tendencies)
        tendencies = jnp.clip(tendencies + self.rate * error[:, None] * gradient, -self.bound, self.bound)
        return (tendencies, mean + self.mean_rate * error, trial), choose(key, jax.nn.log_softmax(tendencies))


@keep_settings(mean_rate=(0, 1), rate=(0, 1e4), bound=(0, 1e4))
def subject(family: Family, rate: float = 2.0, mean_rate: float = 0.05, bound: float = 1.5) -> Habit:
    """Strengthens first choices that paid more than the recent mean.

    Args:
        family: the two-step task.
        rate: the learning rate of the tendencies.
        mean_rate: the weight of the last pay-off in the running mean.
        bound: the largest absolute value of a tendency; larger tendencies are clipped.
    """
    return Habit(require_two_step(family).steps, **convert_to_arrays(rate=rate, mean_rate=mean_rate, bound=bound))
