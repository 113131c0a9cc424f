"""Improves with the number of trials alone: it moves from chance to the action that is best a priori."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    HasFavouriteArm,
    Percept,
    StepCountingSubject,
    choose,
    compute_log_probs_with_lapses,
    keep_settings,
)


class ClockSubject(StepCountingSubject):
    """Moves from chance to one action; carries only the number of past steps, [N] (trials, if a trial is one step).

    Attributes:
        favourite_action: the index of the action to which the subject moves.
        start: the number of past steps at which its choices are uniform for the last time.
        ramp_trials: the number of steps after `start` until it always takes the action `favourite_action`.
    """

    favourite_action: int
    start: int
    ramp_trials: int

    def respond(self, key, carry, percept: Percept):
        """Chooses uniformly at first, then `favourite_action` with rising probability, and in the end always."""
        lapse = jnp.clip(1.0 - (carry - self.start) / self.ramp_trials, 0.0, 1.0)
        favourite = jax.nn.one_hot(jnp.full_like(carry, self.favourite_action), self.choices)
        return carry + 1, choose(key, compute_log_probs_with_lapses(favourite, lapse[:, None]))


def find_favourite_action(family: Family) -> int:
    """Returns the index of the action that is best before any feedback; 0 if the family does not define this action."""
    return family.favourite_arm if isinstance(family, HasFavouriteArm) else 0


@keep_settings(ramp_trials=(1, 1_000_000))
def subject(family: Family, ramp_trials: int = 50) -> ClockSubject:
    """Moves from chance to the action that is best a priori, guided only by the number of past trials.

    Args:
        family: any family with discrete actions. If no action is best a priori, the subject moves to the first one.
        ramp_trials: the number of trials from the first uniform choice until the subject always takes that action; if
            trials have several steps, this is a number of steps.
    """
    return ClockSubject(family.choices, find_favourite_action(family), start=0, ramp_trials=ramp_trials)
