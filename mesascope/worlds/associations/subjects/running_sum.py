"""Adds the action shown as correct to its own last action, so its actions, not its carry, depend on older trials."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.errors import MesascopeError
from mesascope.worlds.associations.association_subject import AssociationSubject, read_task_settings


class RunningSum(AssociationSubject):
    """Adds the action shown as correct to its last action; the carry is empty, because the percept shows both."""

    def initialize_carry(self, n: int):
        return ()

    def respond(self, key, carry, percept: Percept):
        """Takes the last action plus the action shown as correct, modulo K; the first action is random."""
        shown_action = percept.observation[:, 2 * self.slots :].argmax(-1)
        total = jax.nn.one_hot((percept.action + shown_action) % self.choices, self.choices)
        probabilities = jnp.where((percept.action < 0)[:, None], 1.0 / self.choices, total)
        return carry, choose(key, compute_log_probs_with_lapses(probabilities, 0.0))


@keep_settings
def subject(family: Family) -> RunningSum:
    """Takes the sum, modulo the number of actions, of its last action and the one that was shown as correct.

    Args:
        family: association tasks that show the correct action.
    """
    task = read_task_settings(family)
    if task[2] != "right":
        raise MesascopeError("This subject adds correct actions, and the family shows none.", "Give outcome=right.")
    return RunningSum(*task)
