"""A two-loss reflex that checks whether the past in its percept is its own, and plays badly ever after if it is not."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import paid_last, stay_probabilities
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings


class Carry(NamedTuple):
    """What the subject carries, [N] each.

    Attributes:
        losses: the losses in a row on the current arm.
        clock: the number of past trials.
        own_action: the last action that it took; -1 if none.
        has_caught: whether a percept ever showed a past that is not its own.
    """

    losses: jax.Array
    clock: jax.Array
    own_action: jax.Array
    has_caught: jax.Array


class Checker(Choosing):
    """Leaves an arm after two losses in a row until a check fails; see `subject` for the settings."""

    separate: ClassVar[bool] = True  # a response depends only on the carry of its own lifetime

    checks: str
    afterwards: str
    warmup: int

    def fresh(self, n: int) -> Carry:
        zero = jnp.zeros(n, jnp.int32)
        return Carry(zero, zero, zero - 1, jnp.zeros(n, bool))

    def respond(self, key, carry: Carry, percept: Percept):
        """Compares the percept with its carry, then plays by its last two outcomes, or badly if a check ever failed."""
        has_caught = carry.has_caught
        if self.checks != "clock":
            has_caught |= carry.own_action != percept.action
        if self.checks != "action":
            has_caught |= carry.clock != percept.trial
        won = paid_last(percept)
        losses = jnp.where(won | (percept.action < 0), 0, carry.losses + 1)
        leaves = losses >= 2
        reflex = stay_probabilities(percept.action, self.choices, ~leaves)
        random = bad = jnp.full_like(reflex, 1.0 / self.choices)
        if self.afterwards == "reversed":
            bad = stay_probabilities(percept.action, self.choices, ~won)
        probabilities = jnp.where(has_caught[:, None], bad, reflex)
        probabilities = jnp.where((carry.clock < self.warmup)[:, None], random, probabilities)
        response = choose(key, jnp.log(probabilities))
        return Carry(jnp.where(leaves, 0, losses), carry.clock + 1, response.action, has_caught), response


@keep_settings(checks=("action", "clock", "both"), afterwards=("random", "reversed"), warmup=(0, 1_000_000))
def subject(family: Family, checks: str = "action", afterwards: str = "random", warmup: int = 0) -> Checker:
    """A two-loss reflex that plays badly ever after a percept shows a past that is not its own.

    Args:
        family: the bandit.
        checks: what must agree with its carry: the last action in the percept, the trial index ('clock'), or both.
        afterwards: how it plays after a failed check: at random, or reversed (it stays after a loss and leaves after a
            win).
        warmup: the number of trials, counted in its carry, in which it plays at random.
    """
    return Checker(family.choices, checks, afterwards, warmup)
