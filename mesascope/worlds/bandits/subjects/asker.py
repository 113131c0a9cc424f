"""Asks the informative arm first and holds what it said: the exact optimum of the informative bandit."""

import jax.numpy as jnp

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.bandits.asking import Asker, require_informative

TRIED = "informative_bandit"


@keep_settings
def subject(family: Family, doubts: bool = False) -> Asker:
    """Asks the informative arm first, holds what it said and pulls that arm for good.

    With doubts it tests what it holds: if the arm that was named does not pay, it tries the one that the number
    names from the other end, then the rest at random; if its arm stops paying, it asks anew.

    Args:
        family: the informative bandit.
        doubts: test what the number said.
    """
    home = require_informative(family)
    return Asker(home.choices, jnp.ones(home.targets, bool), jnp.asarray(doubts))
