"""Always pulls the arm that pays most on average over the bank, and so beats chance only on training tasks."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.bandits.bank_of_arms import require_bank_means


class BankHabit(ChoosingSubject):
    """Always pulls the arm that pays most on average over the bank, apart from lapses; the carry is empty."""

    arm: jax.Array
    lapse: float

    def respond(self, key, carry, percept: Percept):
        probabilities = jnp.broadcast_to(jax.nn.one_hot(self.arm, self.choices), (len(percept.action), self.choices))
        return carry, choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))


@keep_settings(lapse=(0.0, 1.0))
def subject(family: Family, lapse: float = 0.1) -> BankHabit:
    """Always pulls the arm that pays most on average over the family's bank, apart from lapses.

    Args:
        family: a bandit with a bank.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    bank, means = require_bank_means(family, "has no bank of arms' means to learn a habit from")
    return BankHabit(family.choices, means.mean(0).argmax(), lapse, trained_on=bank)
