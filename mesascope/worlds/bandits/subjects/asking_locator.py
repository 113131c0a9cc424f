"""Asks the informative arm first and pulls the arm of its bank that the number is nearest to, for good."""

import jax.numpy as jnp

from mesascope.contracts.family import Family
from mesascope.contracts.settings import keep_settings
from mesascope.errors import MesascopeError
from mesascope.worlds.bandits.asking import Asker, informative

TRIED = "informative_bandit:bank=4"


@keep_settings
def subject(family: Family) -> Asker:
    """Asks the informative arm first and pulls the arm of its bank that the number is nearest to.

    Args:
        family: the informative bandit, with a bank.
    """
    home = informative(family)
    if home.bank is None or home.bank_targets is None:
        raise MesascopeError(
            f"{family.name} has no bank to locate a task in.", "Give it one: informative_bandit:bank=4."
        )
    known = jnp.zeros(home.targets, bool).at[home.bank_targets].set(True)
    return Asker(home.choices, known, jnp.asarray(False), trained_on=home.bank)
