"""A policy without memory that is optimal in the informative bandit, because the last percept is enough there."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.informative_arm import TARGET_THRESHOLD, decode_arm, require_informative_bandit

CHECK_FAMILY = "informative_bandit"


class AskingReflex(ChoosingSubject):
    """Chooses by the last percept alone; the carry is empty."""

    def respond(self, key, carry, percept: Percept):
        """Pulls the arm that the informative arm has just named, or repeats an arm that paid more than 3.

        Otherwise the subject pulls the informative arm.
        """
        informative_arm = self.choices - 1
        named_arm = decode_arm(percept.feedback, jnp.ones(informative_arm, bool))
        stays = (percept.action >= 0) & (percept.feedback > TARGET_THRESHOLD)
        other_arm = jnp.where(stays, percept.action, informative_arm)
        arm = jnp.where(percept.action == informative_arm, named_arm, other_arm)
        return carry, choose(key, jnp.log(jax.nn.one_hot(arm, self.choices)))


@keep_settings
def subject(family: Family) -> AskingReflex:
    """Pulls the informative arm, then the named arm as long as it pays more than 3; uses only the last percept.

    Args:
        family: the informative bandit.
    """
    return AskingReflex(require_informative_bandit(family).choices)
