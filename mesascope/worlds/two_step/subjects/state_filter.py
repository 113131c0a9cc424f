"""The exact Bayes filter of the two-step task: which state is the good one now? To each answer belongs a first choice.

It holds no plan: what it does with its belief was settled beforehand, for the map of its training, and it has stay
probabilities like a planner's all the same (Akam et al. 2015). What is announced it does not hear.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.errors import MesascopeError
from mesascope.worlds.two_step.learning import Values, initial_state, last_trial, require_two_step

TRIED = "two_step:trials=12,bank=2"
EDGE = 1e-3  # pay-offs are kept this far from 0 and 1: no outcome is impossible


class StateFilter(Scripted):
    """Carries [N] the probability that the second state is the good one; its numbers are data."""

    steps: int
    payoffs: jax.Array
    switch: jax.Array
    lapse: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, Values]:
        """Either state is as likely."""
        return jnp.full(n, 0.5), initial_state(n)

    def respond(self, key, carry, percept: Percept):
        """Takes in what a state paid, then makes the first choice of the state that is more likely the good one."""
        belief, held = carry
        trial, held = last_trial(percept, held, self.steps)
        high, low = jnp.clip(self.payoffs, EDGE, 1.0 - EDGE)
        paid = trial.paid > 0.5
        good, bad = jnp.where(paid, high, 1.0 - high), jnp.where(paid, low, 1.0 - low)
        second = trial.place == 1
        one = belief * jnp.where(second, good, bad)
        two = (1.0 - belief) * jnp.where(second, bad, good)
        posterior = one / (one + two)
        posterior = posterior * (1.0 - self.switch) + (1.0 - posterior) * self.switch
        belief = jnp.where(trial.known, posterior, belief)
        wanted = greedy_probabilities(jnp.stack([1.0 - belief, belief], -1))
        return (belief, held), choose(key, mix_lapse(wanted, self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0) -> StateFilter:
    """Infers which state is the good one, and makes the first choice that belongs to it.

    Args:
        family: the two-step task, not its drifting version.
        lapse: part of the choices that is even over both.
    """
    home = require_two_step(family)
    if home.version == "daw":
        raise MesascopeError(
            f"In {family.name} no one state is the good one: pay-offs drift.",
            "Take version=2018 or version=2016.",
        )
    return StateFilter(home.steps, home.payoffs, home.switch, jnp.asarray(lapse, jnp.float32))
