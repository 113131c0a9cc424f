"""Pulls the arm with the largest upper bound: its mean and a bonus for ignorance (Auer et al. 2002)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mesascope.families import Family, Percept
from mesascope.subjects import Scripted, choose
from mesascope.subjects._counts import best_of, outcomes
from mesascope.subjects._settings import named, within


class UCB1(Scripted):
    """Counts [N, K, 2]."""

    name: str
    choices: int
    constant: float
    growing: bool

    def fresh(self, n: int) -> jax.Array:
        """No counts."""
        return jnp.zeros((n, self.choices, 2))

    def respond(self, key, carry, percept: Percept):
        """Untried arms first, then mean + constant · √(ln t / n); equal bounds share evenly."""
        carry = carry + outcomes(percept, self.choices)
        pulls = carry.sum(-1)
        tried = jnp.maximum(pulls, 1.0)
        time = jnp.log(jnp.maximum(pulls.sum(-1, keepdims=True), 1.0)) if self.growing else 1.0
        bound = carry[..., 0] / tried + self.constant * jnp.sqrt(time / tried)
        return carry, choose(key, jnp.log(best_of(jnp.where(pulls > 0, bound, jnp.inf))))


def subject(family: Family, constant: float = 0.2, growing: bool = True) -> UCB1:
    """Pulls the arm with the largest upper confidence bound, untried arms first.

    Args:
        family: the bandit.
        constant: c in mean + c · √(ln t / n) after t pulls, n of them on the arm.
        growing: False for the bonus c · √(1 / n).
    """
    within(0, 100, constant=constant)
    return UCB1(
        name=named(subject, constant=constant, growing=growing),
        choices=family.choices,
        constant=constant,
        growing=growing,
    )
