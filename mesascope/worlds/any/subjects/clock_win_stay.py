"""Win-stay-lose-shift with a lapse that falls with the count of trials; it uses only the last feedback."""

import jax.numpy as jnp

from mesascope.contracts.choices import StepCounter, mix_lapse, paid_last, stay_probabilities
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings


class ClockWinStay(StepCounter):
    """Carries the number of past trials [N]."""

    trials: int

    def respond(self, key, carry, percept: Percept):
        """Stays after a win and shifts after a loss, except for lapses."""
        lapse = jnp.clip(1.0 - carry / self.trials, 0.0, 1.0)[:, None]
        return carry + 1, choose(
            key, mix_lapse(stay_probabilities(percept.action, self.choices, paid_last(percept)), lapse)
        )


@keep_settings(trials=(1, 1_000_000))
def subject(family: Family, trials: int = 50) -> ClockWinStay:
    """Win-stay-lose-shift with a lapse that falls from one to zero with the count of trials.

    Args:
        family: any family with discrete actions.
        trials: the number of trials that this takes.
    """
    return ClockWinStay(family.choices, trials)
