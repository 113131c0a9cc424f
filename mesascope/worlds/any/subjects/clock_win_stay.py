"""Win-stay-lose-shift with a lapse probability that falls trial by trial; only the last feedback is used."""

import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, keep_settings
from mesascope.contracts.choices import (
    StepCountingSubject,
    compute_log_probs_with_lapses,
    compute_stay_probabilities,
    has_last_pull_paid,
)


class ClockWinStay(StepCountingSubject):
    """Carries the number of past steps, [N]; if a trial is one step, this is the number of past trials."""

    ramp_trials: int

    def respond(self, key, carry, percept: Percept):
        """Stays after a win (feedback above .5) and shifts after a loss, except for lapses."""
        lapse = jnp.clip(1.0 - carry / self.ramp_trials, 0.0, 1.0)[:, None]
        return carry + 1, choose(
            key,
            compute_log_probs_with_lapses(
                compute_stay_probabilities(percept.action, self.choices, has_last_pull_paid(percept)), lapse
            ),
        )


@keep_settings(ramp_trials=(1, 1_000_000))
def subject(family: Family, ramp_trials: int = 50) -> ClockWinStay:
    """Follows win-stay-lose-shift, with a lapse probability that falls from one to zero as trials pass.

    Args:
        family: any family with discrete actions.
        ramp_trials: the number of trials in which the lapse probability (that of a uniformly random action) falls to
            zero; if trials have several steps, this is a number of steps.
    """
    return ClockWinStay(family.choices, ramp_trials)
