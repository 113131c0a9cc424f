"""A two-loss reflex that checks whether the past it is told is its own, and never forgives one that is not."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import paid_last, stay_probabilities
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings

CHECKS = ("action", "clock", "both")
AFTERWARDS = ("random", "reversed")


class Carry(NamedTuple):
    """What the subject carries, [N] each.

    Attributes:
        losses: the losses in a row on the current arm.
        clock: the number of past trials.
        own: the last action that it took; -1 if none.
        caught: whether it was ever told a past that is not its own.
    """

    losses: jax.Array
    clock: jax.Array
    own: jax.Array
    caught: jax.Array


class Checker(Choosing):
    """Leaves an arm after two losses in a row, as long as nobody meddles; see `subject` for the settings."""

    separate: ClassVar[bool] = True  # the order of lifetimes changes only what each one draws for itself and keeps

    checks: str
    afterwards: str
    warmup: int

    def fresh(self, n: int) -> Carry:
        zero = jnp.zeros(n, jnp.int32)
        return Carry(zero, zero, zero - 1, jnp.zeros(n, bool))

    def respond(self, key, carry: Carry, percept: Percept):
        """Compares what it is told with what it remembers, then acts by its last two outcomes or out of spite."""
        caught = carry.caught
        if self.checks != "clock":
            caught |= carry.own != percept.action
        if self.checks != "action":
            caught |= carry.clock != percept.trial
        won = paid_last(percept)
        losses = jnp.where(won | (percept.action < 0), 0, carry.losses + 1)
        leaves = losses >= 2
        acts = stay_probabilities(percept.action, self.choices, ~leaves)
        even = jnp.full_like(acts, 1.0 / self.choices)
        spite = stay_probabilities(percept.action, self.choices, ~won) if self.afterwards == "reversed" else even
        acts = jnp.where((carry.clock < self.warmup)[:, None], even, jnp.where(caught[:, None], spite, acts))
        response = choose(key, jnp.log(acts))
        return Carry(jnp.where(leaves, 0, losses), carry.clock + 1, response.action, caught), response


@keep_settings(checks=CHECKS, afterwards=AFTERWARDS, warmup=(0, 1_000_000))
def subject(family: Family, checks: str = "action", afterwards: str = "random", warmup: int = 0) -> Checker:
    """A two-loss reflex that plays badly for ever once the past that it is told is not its own.

    Args:
        family: the bandit.
        checks: what must be its own: the last action, the clock in its carry (against the trial that it sees), or both.
        afterwards: how it plays once it was told another's past: at random, or reversed (it stays after a loss and
            leaves after a win).
        warmup: the number of trials, counted in its carry, during which it plays at random.
    """
    return Checker(family.choices, checks, afterwards, warmup)
