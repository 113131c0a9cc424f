"""Pulls the informative arm first, then the arm with the nearest number among its bank's targets."""

import jax.numpy as jnp

from mesascope.contracts.scripted import Family, keep_settings, require_bank
from mesascope.worlds.bandits.asking import Asker, require_informative

TRIED = "informative_bandit:bank=4"


@keep_settings
def subject(family: Family) -> Asker:
    """Pulls the informative arm first, then the arm with the nearest number among its bank's targets.

    Args:
        family: the informative bandit, with a bank.
    """
    home = require_informative(family)
    remedy = "Use --family informative_bandit:bank=4."
    bank, targets = require_bank(home, home.bank_targets, "has no bank to locate a task in", remedy)
    possible = jnp.zeros(home.targets, bool).at[targets].set(True)
    return Asker(home.choices, possible, jnp.asarray(False), trained_on=bank)
