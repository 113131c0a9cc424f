"""Locates its task among the processes of the family's bank, and follows a policy for one drawn from the posterior.

It knows its training tasks and nothing else. Before every episode it draws one of them from the posterior, and then
follows the best policy for that task.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.scripted import Family, Response, Scripted, keep_settings, require_bank
from mesascope.keys import address
from mesascope.worlds.mdp.families.tabular_mdp import TabularMDP
from mesascope.worlds.mdp.planning import backward_induction, find_shape, make_expectation


class Odds(NamedTuple):
    """The posterior, and the task whose policy the subject follows.

    Attributes:
        log: [N, M] the unnormalised log-posterior of each task.
        place: [N] the state in which the last action was taken.
        followed: [N] the task whose best policy the subject follows.
    """

    log: jax.Array
    place: jax.Array
    followed: jax.Array


class MDPLocator(Scripted):
    """Follows policies for tasks of its bank, which is stored as arrays so that equal sizes share compiled code."""

    moves: jax.Array  # [M, S, A, S'], logarithms
    pays: jax.Array  # [M, S, A]
    policies: jax.Array  # [M, steps, S]

    def fresh(self, n: int) -> Odds:
        """Returns a uniform posterior over the tasks of the bank."""
        zero = jnp.zeros(n, jnp.int32)
        return Odds(jnp.zeros((n, len(self.pays))), zero, zero)

    def respond(self, key, carry, percept):
        """Updates the posterior, draws a task at the first step of an episode, and follows the policy for it."""
        place = percept.observation.argmax(-1).astype(jnp.int32)
        action, starts = jnp.maximum(percept.action, 0), percept.step == 0
        reward_likelihood = -0.5 * jnp.square(percept.feedback - self.pays[:, carry.place, action]).T
        move_likelihood = jnp.where(starts[:, None], 0.0, self.moves[:, carry.place, action, place].T)
        log = carry.log + jnp.where(percept.first[:, None], 0.0, reward_likelihood + move_likelihood)
        sampled = jax.random.categorical(address(key, "which"), log).astype(jnp.int32)
        followed = jnp.where(starts, sampled, carry.followed)
        next_action = self.policies[followed, percept.step, place]
        return Odds(log, place, followed), Response(next_action, None)


@keep_settings
def subject(family: Family, minimise: bool = False) -> MDPLocator:
    """Locates its task among the processes of the family's bank.

    Args:
        family: a family of episodes in a process with few states, with a bank.
        minimise: whether it minimises pay-off.
    """
    tasks = family.bank_tasks if isinstance(family, TabularMDP) else None
    remedy = "Give the family one: tabular_mdp:bank=4."
    bank, (moves, pays) = require_bank(family, tasks, "has no bank of processes to locate a task in", remedy)
    policies = backward_induction(-pays if minimise else pays, find_shape(family)[2], make_expectation(moves))
    return MDPLocator(jnp.log(jnp.asarray(np.asarray(moves))), pays, policies, trained_on=bank)


TRIED = "tabular_mdp:states=3,actions=2,steps=3,trials=4,bank=2"
