"""Stamps in first choices that paid more than of late (Thorndike 1911; an actor with a running mean, Williams 1992)."""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, as_arrays, choose, keep_settings
from mesascope.worlds.two_step.learning import Values, initial_state, last_trial, require_two_step

TRIED = "two_step:trials=12,bank=2"


class Habit(Scripted):
    """Carries tendencies [N, K] and the running mean pay-off [N]: no values, no states; its numbers are data."""

    steps: int
    rate: jax.Array
    calm: jax.Array
    bound: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array, Values]:
        """No tendency."""
        return jnp.zeros((n, 2)), jnp.full(n, 0.5), initial_state(n)

    def respond(self, key, carry, percept: Percept):
        """Strengthens the last first choice by how much more it paid than of late."""
        tendency, mean, held = carry
        trial, held = last_trial(percept, held, self.steps)
        known = trial.known.astype(jnp.float32)
        error = known * (trial.paid - mean)
        push = jax.nn.one_hot(trial.first, 2) - jax.nn.softmax(tendency)
        tendency = jnp.clip(tendency + self.rate * error[:, None] * push, -self.bound, self.bound)
        return (tendency, mean + self.calm * error, held), choose(key, jax.nn.log_softmax(tendency))


@keep_settings(calm=(0, 1), rate=(0, 1e4), bound=(0, 1e4))
def subject(family: Family, rate: float = 2.0, calm: float = 0.05, bound: float = 1.5) -> Habit:
    """Stamps in first choices that paid more than of late.

    Args:
        family: the two-step task.
        rate: how much a pay-off of 1 above the mean strengthens.
        calm: the part of a prediction error that the running mean takes over.
        bound: the strongest tendency.
    """
    return Habit(require_two_step(family).steps, **as_arrays(rate=rate, calm=calm, bound=bound))
