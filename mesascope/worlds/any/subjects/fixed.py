"""Always takes the same action."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, check_range, choose, keep_settings


class FixedSubject(ChoosingSubject):
    """Always takes the same action; the carry is empty."""

    arm: int

    def respond(self, key, carry, percept: Percept):
        arms = jnp.full_like(percept.action, self.arm)
        return carry, choose(key, jnp.log(jax.nn.one_hot(arms, self.choices)))


@keep_settings
def subject(family: Family, arm: int = 0) -> FixedSubject:
    """Always takes the same action.

    Args:
        family: any family with discrete actions.
        arm: the index of the action, from 0.
    """
    check_range(0, family.choices - 1, arm=arm)
    return FixedSubject(family.choices, arm)
