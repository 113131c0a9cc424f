"""Pulls the informative arm first, then the arm that its pay-off named. This is optimal in the informative bandit."""

import jax.numpy as jnp

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.bandits.informative_arm import Asker, require_informative_bandit

CHECK_FAMILY = "informative_bandit"


@keep_settings
def subject(family: Family, has_doubts: bool = False) -> Asker:
    """Pulls the informative arm first, then always the arm that its pay-off named.

    With doubts, the subject checks that the named arm pays more than 3. If that arm does not, the subject tries the arm
    with the same number counted from the other end, and then the remaining arms at random. If the arm that it has found
    stops paying more than 3, or no arm pays that much, it pulls the informative arm again.

    Args:
        family: the informative bandit.
        has_doubts: whether to check that the named arm pays more than 3.
    """
    bandit = require_informative_bandit(family)
    return Asker(bandit.choices, jnp.ones(bandit.n_targets, bool), jnp.asarray(has_doubts))
