"""Learns in part of its trials, choices or lifetimes; in the rest it chooses at random or by a two-loss reflex."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_stay_probabilities,
    count_last_outcome,
    keep_settings,
)
from mesascope.worlds.bandits.bank_of_arms import compute_best_arm_probability, require_bank_means
from mesascope.worlds.bandits.subjects.thompson import compute_best_probability
from mesascope.worlds.bandits.subjects.two_loss_reflex import count_losses


class PartTimeLearner(ChoosingSubject):
    """Carries counts [N, K, 2], the number [N] of past trials, and the losses [N] in a row on the current arm.

    It also carries a number [N]: 1 if the subject uses its counts in this lifetime, 0 if not, -1 before this is drawn.
    """

    has_separate_rows: ClassVar[bool] = True  # a response depends only on the carry of its own lifetime

    bank_means: jax.Array | None  # [M, K], for the locator
    choice_share: float
    lifetime_share: float
    learning_trials: int
    fallback: str
    discount: float

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        zero = jnp.zeros(n, jnp.int32)
        return jnp.zeros((n, self.choices, 2)), zero, zero, zero - 1

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, then chooses from the counts or without them.

        On the first trial, a draw decides whether the subject ever uses its counts in this lifetime.
        """
        counts, past_trials, losses, learns = carry
        birth_key, key = jax.random.split(key)
        drawn_kind = jax.random.bernoulli(birth_key, self.lifetime_share, learns.shape).astype(jnp.int32)
        learns = jnp.where(learns < 0, drawn_kind, learns)
        counts = self.discount * counts + count_last_outcome(percept, self.choices)
        losses, leaves = count_losses(losses, percept)
        fallback = jnp.full(counts.shape[:2], 1.0 / self.choices)
        if self.fallback == "reflex":
            fallback = compute_stay_probabilities(percept.action, self.choices, ~leaves)
        choice_share = jnp.where((learns == 1) & (past_trials < self.learning_trials), self.choice_share, 0.0)[:, None]
        if self.bank_means is None:
            learned_probabilities = compute_best_probability(counts + 1.0)
        else:
            learned_probabilities = compute_best_arm_probability(counts, self.bank_means)
        probabilities = choice_share * learned_probabilities + (1.0 - choice_share) * fallback
        return (counts, past_trials + 1, losses, learns), choose(key, jnp.log(probabilities))


@keep_settings(
    procedure=("thompson", "locator"),
    fallback=("random", "reflex"),
    learning_trials=(1, 1_000_000_000),
    **dict.fromkeys(("choice_share", "lifetime_share", "discount"), (0.0, 1.0)),
)
def subject(
    family: Family,
    procedure: str = "thompson",
    choice_share: float = 1.0,
    lifetime_share: float = 1.0,
    learning_trials: int = 1_000_000_000,
    fallback: str = "random",
    discount: float = 1.0,
) -> PartTimeLearner:
    """Samples the posterior in part of its choices, trials or lifetimes, and chooses without it in the rest.

    Args:
        family: the bandit; procedure=locator needs a bank.
        procedure: how the subject chooses from its counts: 'thompson' (by Thompson sampling) or 'locator' (by drawing a
            task of the family's bank from the posterior).
        choice_share: the share of choices that the subject makes from its counts; a draw on each trial decides.
        lifetime_share: the share of lifetimes in which the subject ever uses its counts; a draw on the first trial
            decides, and is kept in the carry.
        learning_trials: the number of trials after which the subject no longer uses its counts.
        fallback: how the subject chooses where it does not use its counts: 'random' (at random) or 'reflex' (it leaves
            an arm after two losses in a row).
        discount: the factor by which the counts are multiplied on each trial; 1 for a stationary task.
    """
    bank, means = "unlimited", None
    if procedure == "locator":
        bank, means = require_bank_means(family)
    return PartTimeLearner(
        family.choices, means, choice_share, lifetime_share, learning_trials, fallback, discount, trained_on=bank
    )
