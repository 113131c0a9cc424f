"""Locates its task among the MDPs of the family's bank, by posterior sampling over these tasks.

The subject knows its training tasks and nothing else. Before every episode, it draws one of them from the posterior,
and then follows the best policy for that task.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Family, Response, ScriptedSubject, keep_settings, require_bank
from mesascope.keys import derive_key
from mesascope.worlds.mdp.families.tabular_mdp import TabularMDP
from mesascope.worlds.mdp.planning import make_expectation, plan_backward


class Posterior(NamedTuple):
    """The posterior, and the task whose policy the subject follows.

    Attributes:
        log_posterior: [N, M] the unnormalised log-posterior of each task in the bank.
        state: [N] the state in which the last action was taken.
        followed_task: [N] the task whose best policy the subject follows.
    """

    log_posterior: jax.Array
    state: jax.Array
    followed_task: jax.Array


class MDPLocator(ScriptedSubject):
    """Follows policies for tasks of a bank; the arrays are fields, so that banks of equal size share compiled code.

    Attributes:
        log_transitions: [M, S, A, S'] the logarithms of the transition probabilities.
        payoffs: [M, S, A] the mean pay-off of each action in each state.
        policies: [M, steps, S] the best action in each task at each step and state of an episode; the worst if the
            subject minimises pay-off.
    """

    log_transitions: jax.Array
    payoffs: jax.Array
    policies: jax.Array

    def initialize_carry(self, n: int) -> Posterior:
        """Returns a uniform posterior over the tasks of the bank."""
        zero = jnp.zeros(n, jnp.int32)
        return Posterior(jnp.zeros((n, len(self.payoffs))), zero, zero)

    def respond(self, key, carry, percept):
        """Updates the posterior, draws a task if an episode begins, and follows the policy for the drawn task."""
        state = percept.observation.argmax(-1).astype(jnp.int32)
        action, is_first_step = jnp.maximum(percept.action, 0), percept.step == 0
        payoff_likelihood = -0.5 * jnp.square(percept.feedback - self.payoffs[:, carry.state, action]).T
        transition_likelihood = jnp.where(
            is_first_step[:, None], 0.0, self.log_transitions[:, carry.state, action, state].T
        )
        evidence = jnp.where(percept.first[:, None], 0.0, payoff_likelihood + transition_likelihood)
        log_posterior = carry.log_posterior + evidence
        sampled = jax.random.categorical(derive_key(key, "which"), log_posterior).astype(jnp.int32)
        followed_task = jnp.where(is_first_step, sampled, carry.followed_task)
        next_action = self.policies[followed_task, percept.step, state]
        return Posterior(log_posterior, state, followed_task), Response(next_action, None)


@keep_settings
def subject(family: Family, should_minimise: bool = False) -> MDPLocator:
    """Locates its task among the MDPs of the family's bank.

    Args:
        family: the family `tabular_mdp`, with a bank.
        should_minimise: whether the subject minimises pay-off.
    """
    tasks = family.bank_tasks if isinstance(family, TabularMDP) else None
    remedy = "Give the family a bank: tabular_mdp:bank=4."
    bank, (transitions, payoffs) = require_bank(family, tasks, "has no bank of MDPs to locate a task in", remedy)
    goal = -payoffs if should_minimise else payoffs
    policies = plan_backward(goal, family.steps, make_expectation(transitions))
    return MDPLocator(jnp.log(jnp.asarray(np.asarray(transitions))), payoffs, policies, trained_on=bank)


CHECK_FAMILY = "tabular_mdp:states=3,actions=2,steps=3,trials=4,bank=2"
