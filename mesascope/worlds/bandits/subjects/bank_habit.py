"""Always pulls the arm that pays most on average over the bank: better on training tasks, without a look at any."""

import jax
import jax.numpy as jnp

from mesascope.contracts.capabilities import HasArmsBank
from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings, require_bank


class BankHabit(Choosing):
    """Carries nothing."""

    arm: jax.Array
    lapse: float

    def respond(self, key, carry, percept: Percept):
        acts = jnp.broadcast_to(jax.nn.one_hot(self.arm, self.choices), (len(percept.action), self.choices))
        return carry, choose(key, mix_lapse(acts, self.lapse))


@keep_settings(lapse=(0.0, 1.0))
def subject(family: Family, lapse: float = 0.1) -> BankHabit:
    """Always pulls the arm that pays most on average over the family's bank.

    Args:
        family: a bandit with a bank.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    means = family.bank_means if isinstance(family, HasArmsBank) else None
    remedy = "Use e.g. --family bernoulli_bandit:bank=4."
    bank, means = require_bank(family, means, "has no bank of arms' means to know by heart", remedy)
    return BankHabit(family.choices, means.mean(0).argmax(), lapse, trained_on=bank)
