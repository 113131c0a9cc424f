"""Pulls the informative arm first, then the arm that it named; this is exactly optimal in the informative bandit."""

import jax.numpy as jnp

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.bandits.asking import Asker, require_informative

TRIED = "informative_bandit"


@keep_settings
def subject(family: Family, doubts: bool = False) -> Asker:
    """Pulls the informative arm first, then always pulls the arm that it named.

    With doubts, it checks that the named arm pays. If not, it tries the arm that the number names when counted from
    the other end, then the remaining arms at random. If its arm stops paying, it reads the number again.

    Args:
        family: the informative bandit.
        doubts: whether to check that the named arm pays.
    """
    home = require_informative(family)
    return Asker(home.choices, jnp.ones(home.targets, bool), jnp.asarray(doubts))
