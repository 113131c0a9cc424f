"""Adds the action shown as right to its own last action, so its past is in its actions and not in its carry."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, keep_settings, mix_lapse
from mesascope.errors import MesascopeError
from mesascope.worlds.associations.association_subject import AssociationSubject, read_task_settings


class RunningSum(AssociationSubject):
    """Carries nothing."""

    def fresh(self, n: int):
        return ()

    def respond(self, key, carry, percept: Percept):
        """Takes the last action plus the one shown as right, modulo K; the first one at random."""
        shown = percept.observation[:, 2 * self.slots :].argmax(-1)
        total = jax.nn.one_hot((percept.action + shown) % self.choices, self.choices)
        probabilities = jnp.where((percept.action < 0)[:, None], 1.0 / self.choices, total)
        return carry, choose(key, mix_lapse(probabilities, 0.0))


@keep_settings
def subject(family: Family) -> RunningSum:
    """Takes the sum, modulo the number of actions, of its last action and the one that was shown as right.

    Args:
        family: association tasks that show the right action.
    """
    task = read_task_settings(family)
    if task[2] != "right":
        raise MesascopeError("It adds right actions, which this family does not show.", "Give outcome=right.")
    return RunningSum(*task)
