"""Takes the actions in turn and ignores feedback."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, StepCountingSubject, choose, keep_settings


class RoundRobin(StepCountingSubject):
    """Carries the number of past steps, [N]; if a trial is one step, this is the number of past trials."""

    def respond(self, key, carry, percept: Percept):
        return carry + 1, choose(key, jnp.log(jax.nn.one_hot(carry % self.choices, self.choices)))


@keep_settings
def subject(family: Family) -> RoundRobin:
    """Takes the actions in turn and ignores feedback."""
    return RoundRobin(family.choices)
