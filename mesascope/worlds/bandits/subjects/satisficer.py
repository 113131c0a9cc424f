"""Stays with an arm while its posterior mean is good enough, else tries another."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import keep, means, outcomes
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import named, within
from mesascope.contracts.subject import Scripted, choose


class Satisficer(Scripted):
    """Counts [N, K, 2]."""

    name: str
    choices: int
    enough: float

    def fresh(self, n: int) -> jax.Array:
        """No counts."""
        return jnp.zeros((n, self.choices, 2))

    def respond(self, key, carry, percept: Percept):
        """The last arm again where its mean is enough, else evenly another."""
        carry = carry + outcomes(percept, self.choices)
        last = jax.nn.one_hot(percept.action, self.choices)
        enough = (last * means(carry)).sum(-1) >= self.enough
        return carry, choose(key, jnp.log(keep(percept.action, self.choices, enough)))


def subject(family: Family, enough: float = 0.6) -> Satisficer:
    """Stays with an arm while its posterior mean under Beta(1, 1) is good enough, else tries another.

    Args:
        family: the bandit.
        enough: the mean that is good enough.
    """
    within(0, 1, enough=enough)
    return Satisficer(name=named(subject, enough=enough), choices=family.choices, enough=enough)
