"""Pulls the informative arm first, then the arm that its pay-off names among the good arms of the bank's tasks."""

import jax.numpy as jnp

from mesascope.contracts import Family, keep_settings, require_bank
from mesascope.worlds.bandits.informative_arm import Asker, require_informative_bandit

CHECK_FAMILY = "informative_bandit:bank=4"


@keep_settings
def subject(family: Family) -> Asker:
    """Pulls the informative arm first, then the arm that its pay-off names among the good arms of the bank's tasks.

    If the named arm is not the good one in any task of the bank, the subject pulls the nearest arm that is.

    Args:
        family: the informative bandit, with a bank.
    """
    bandit = require_informative_bandit(family)
    remedy = "Use --family informative_bandit:bank=4."
    bank, targets = require_bank(bandit, bandit.bank_targets, "has no bank to locate a task in", remedy)
    may_be_target = jnp.zeros(bandit.n_targets, bool).at[targets].set(True)
    return Asker(bandit.choices, may_be_target, jnp.asarray(False), trained_on=bank)
