"""Learns in part of its trials, choices or lifetimes only; in the rest it plays at random or by a two-loss reflex."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.capabilities import HasArmsBank
from mesascope.contracts.choices import greedy_probabilities, outcomes, paid_last, stay_probabilities
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings, require_bank
from mesascope.worlds.bandits.subjects.locator import EDGE
from mesascope.worlds.bandits.subjects.thompson import probability_best

RESTS = ("random", "reflex")
WORKS = ("thompson", "locator")


class Carry(NamedTuple):
    """What the subject carries.

    Attributes:
        counts: [N, K, 2] wins and losses by arm.
        clock: [N] the number of past trials.
        losses: [N] the losses in a row on the current arm.
        works: [N] 1 in lifetimes in which it learns, 0 in others, -1 before it is drawn.
    """

    counts: jax.Array
    clock: jax.Array
    losses: jax.Array
    works: jax.Array


class PartTime(Choosing):
    """See `subject` for the settings."""

    separate: ClassVar[bool] = True  # the order of lifetimes changes only what each one draws for itself and keeps

    bank_means: jax.Array | None  # [M, K], for the locator
    share: float
    lives: float
    until: int
    rest: str
    discount: float

    def fresh(self, n: int) -> Carry:
        zero = jnp.zeros(n, jnp.int32)
        return Carry(jnp.zeros((n, self.choices, 2)), zero, zero, zero - 1)

    def respond(self, key, carry: Carry, percept: Percept):
        """Counts every outcome; draws at the first trial whether it will ever use the counts."""
        birth, key = jax.random.split(key)
        drawn = jax.random.bernoulli(birth, self.lives, carry.works.shape).astype(jnp.int32)
        works = jnp.where(carry.works < 0, drawn, carry.works)
        counts = self.discount * carry.counts + outcomes(percept, self.choices)
        losses = jnp.where(paid_last(percept) | (percept.action < 0), 0, carry.losses + 1)
        leaves = losses >= 2
        rest = jnp.full(counts.shape[:2], 1.0 / self.choices)
        if self.rest == "reflex":
            rest = stay_probabilities(percept.action, self.choices, ~leaves)
        share = jnp.where((works == 1) & (carry.clock < self.until), self.share, 0.0)[:, None]
        acts = share * self.learnt(counts) + (1.0 - share) * rest
        return Carry(counts, carry.clock + 1, jnp.where(leaves, 0, losses), works), choose(key, jnp.log(acts))

    def learnt(self, counts: jax.Array) -> jax.Array:
        """[N, K] The choice probabilities of the learner or the locator."""
        if self.bank_means is None:
            return probability_best(counts + 1.0)
        p = jnp.clip(self.bank_means, EDGE, 1.0 - EDGE)
        fit = counts[..., 0] @ jnp.log(p).T + counts[..., 1] @ jnp.log1p(-p).T
        return jax.nn.softmax(fit) @ greedy_probabilities(self.bank_means)


@keep_settings(
    work=WORKS, share=(0.0, 1.0), lives=(0.0, 1.0), until=(1, 1_000_000_000), rest=RESTS, discount=(0.0, 1.0)
)
def subject(
    family: Family,
    work: str = "thompson",
    share: float = 1.0,
    lives: float = 1.0,
    until: int = 1_000_000_000,
    rest: str = "random",
    discount: float = 1.0,
) -> PartTime:
    """Samples the posterior in part of its choices, trials or lifetimes, and plays without it in the rest.

    Args:
        family: the bandit; with a bank, if it is to locate its task.
        work: what it does with its counts: Thompson sampling, or drawing a task of the family's bank.
        share: the share of choices that it makes from its counts, drawn anew each time.
        lives: the share of lifetimes in which it ever does; drawn at birth and kept in the carry.
        until: the number of trials after which it never does again.
        rest: what it does otherwise: play at random, or leave an arm after two losses in a row.
        discount: the factor by which counts decay on each trial.
    """
    bank, means = "unlimited", None
    if work == "locator":
        means = family.bank_means if isinstance(family, HasArmsBank) else None
        remedy = "Use e.g. --family bernoulli_bandit:bank=4."
        bank, means = require_bank(family, means, "has no bank of arms' means to locate a task in", remedy)
    return PartTime(family.choices, means, share, lives, until, rest, discount, trained_on=bank)
