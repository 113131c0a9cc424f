"""Asks the informative arm first and pulls the arm of its bank that the number is nearest to, for good."""

import jax.numpy as jnp

from mesascope.contracts.scripted import Family, keep_settings, require_bank
from mesascope.worlds.bandits.asking import Asker, require_informative

TRIED = "informative_bandit:bank=4"


@keep_settings
def subject(family: Family) -> Asker:
    """Asks the informative arm first and pulls the arm of its bank that the number is nearest to.

    Args:
        family: the informative bandit, with a bank.
    """
    home = require_informative(family)
    remedy = "Give it one: informative_bandit:bank=4."
    bank, targets = require_bank(home, home.bank_targets, "has no bank to locate a task in", remedy)
    known = jnp.zeros(home.targets, bool).at[targets].set(True)
    return Asker(home.choices, known, jnp.asarray(False), trained_on=bank)
