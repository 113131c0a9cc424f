"""Moves the value of the pulled arm towards each outcome and chooses by softmax (Rescorla and Wagner 1972)."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, keep_settings


class RescorlaWagner(ChoosingSubject):
    """Carries the value of each arm, [N, K]."""

    rate: float
    beta: float
    initial_value: float

    def initialize_carry(self, n: int) -> jax.Array:
        return jnp.full((n, self.choices), self.initial_value)

    def respond(self, key, carry, percept: Percept):
        """Updates the value of the pulled arm, then chooses by softmax."""
        pulled_arm = jax.nn.one_hot(percept.action, self.choices)
        carry = carry + self.rate * pulled_arm * (percept.feedback[:, None] - carry)
        return carry, choose(key, jax.nn.log_softmax(self.beta * carry))


@keep_settings(rate=(0, 1), beta=(-1e4, 1e4), initial_value=(-1e4, 1e4))
def subject(family: Family, rate: float = 0.1, beta: float = 5.0, initial_value: float = 0.5) -> RescorlaWagner:
    """Moves the value of the pulled arm towards each outcome, and chooses by softmax.

    Args:
        family: the bandit.
        rate: the learning rate, the fraction of the prediction error that is added to the value of the pulled arm.
        beta: the inverse temperature of the softmax over the values.
        initial_value: the initial value of every arm.
    """
    return RescorlaWagner(family.choices, rate, beta, initial_value)
