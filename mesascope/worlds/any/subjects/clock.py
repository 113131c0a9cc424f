"""Improves by the clock alone: from chance to the arm that is best a priori, never looking at feedback."""

import jax
import jax.numpy as jnp

from mesascope.contracts.capabilities import HasFavourite
from mesascope.contracts.choices import StepCounter, mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings


class Clock(StepCounter):
    """Trials lived [N]; see `subject` for the settings."""

    favourite: int
    start: int
    trials: int

    def respond(self, key, carry, percept: Percept):
        """Even over all arms at first, the favourite alone at last."""
        lapse = jnp.clip(1.0 - (carry - self.start) / self.trials, 0.0, 1.0)
        favourite = jax.nn.one_hot(jnp.full_like(carry, self.favourite), self.choices)
        return carry + 1, choose(key, mix_lapse(favourite, lapse[:, None]))


def favourite(family: Family) -> int:
    """The arm that is best a priori, the first where none is said to be."""
    return family.favourite if isinstance(family, HasFavourite) else 0


@keep_settings(trials=(1, 1_000_000))
def subject(family: Family, trials: int = 50) -> Clock:
    """Moves from chance to the arm that is best a priori by a count of trials alone.

    Args:
        family: the bandit, with unequal priors; on equal ones the first arm is as good as any.
        trials: how many it takes.
    """
    return Clock(family.choices, favourite(family), start=0, trials=trials)
