"""The optimum of the informative bandit without a memory: all that it needs is in the last percept."""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.asking import ENOUGH, informed_arm, require_informative

TRIED = "informative_bandit"


class AskingReflex(Choosing):
    """Nothing is carried."""

    def respond(self, key, carry, percept: Percept):
        """After the number the arm that it names; the same arm again while it pays; else it asks."""
        ask = self.choices - 1
        said = informed_arm(percept.feedback, jnp.ones(ask, bool))
        stay = (percept.action >= 0) & (percept.feedback > ENOUGH)
        arm = jnp.where(percept.action == ask, said, jnp.where(stay, percept.action, ask))
        return carry, choose(key, jnp.log(jax.nn.one_hot(arm, self.choices)))


@keep_settings
def subject(family: Family) -> AskingReflex:
    """Asks, pulls the arm that the number names, and repeats it while it pays, by the last percept alone.

    Args:
        family: the informative bandit.
    """
    return AskingReflex(require_informative(family).choices)
