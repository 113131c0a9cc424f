"""Repeats its last act more often than not, whatever it paid."""

from __future__ import annotations

import jax.numpy as jnp

from mesascope.contracts.choices import keep
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import named, within
from mesascope.contracts.subject import Scripted, choose


class Sticky(Scripted):
    """Nothing is carried: the last act is in the percept."""

    name: str
    choices: int
    stay: float

    def fresh(self, n: int) -> tuple[()]:
        """An empty carry."""
        return ()

    def respond(self, key, carry, percept: Percept):
        """The last act again, or evenly another."""
        return carry, choose(key, jnp.log(keep(percept.action, self.choices, self.stay)))


def subject(family: Family, stay: float = 0.8) -> Sticky:
    """Repeats its last act more often than not, whatever it paid.

    Args:
        family: the bandit.
        stay: the probability of the last act.
    """
    within(0, 1, stay=stay)
    return Sticky(name=named(subject, stay=stay), choices=family.choices, stay=stay)
