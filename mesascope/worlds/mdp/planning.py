"""The base class of subjects that plan in tabular MDPs, with the belief and the algorithms that they share.

In shapes, N is the number of lifetimes, S of states, A of actions, and L the largest number of steps in a lifetime.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, ScriptedSubject, choose, compute_log_probs_with_lapses
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

PRIOR_MEAN = 1.0  # prior mean of the mean pay-offs; the prior variance and the noise variance are 1


class History(NamedTuple):
    """All steps of the lifetime so far, and the plan for the present episode.

    Attributes:
        state_action: [N, L] the state and action of each step, as the number state · A + action; -1 for steps that are
            not yet taken.
        next_state: [N, L] the state that followed each step; -1 if that state was not shown.
        feedback: [N, L] the pay-off of each step.
        state: [N] the state in which the last action was taken.
        plan: [N, steps, S] the planned action at each step and state of the episode.
    """

    state_action: jax.Array
    next_state: jax.Array
    feedback: jax.Array
    state: jax.Array
    plan: jax.Array


class Belief(NamedTuple):
    """Sufficient statistics of the posterior over tasks.

    Attributes:
        transitions: [N, S, A, S'] the count of each transition, without the prior count of one.
        mean_payoffs: [N, S, A] the posterior mean of each mean pay-off, multiplied by the subject's `sign`.
        action_counts: [N, S, A] the count of each action in each state; the posterior variance is 1 / (1 + the count).
        transition_index: [N, L] the index of each step's transition in the flattened `transitions`; an index beyond the
            end if the step has no known transition.
    """

    transitions: jax.Array
    mean_payoffs: jax.Array
    action_counts: jax.Array
    transition_index: jax.Array


class Planner(ScriptedSubject):
    """A subject that plans before every episode and then follows the plan; subclasses define `plan_episode`.

    Attributes:
        sizes: the number of states S, the number of actions A, the number of steps in an episode, and the largest
            number of steps in a lifetime, L.
        sign: 1 if the subject maximises pay-off, -1 if it minimises pay-off.
        memory: the number of past episodes that the subject remembers; 0 for all.
        lapse: the fraction of the actions that are random.
        has_random_plans: whether plans are random; then action probabilities are not available.
    """

    sizes: tuple[int, int, int, int]
    sign: float = eqx.field(default=1.0, kw_only=True)
    memory: int = eqx.field(default=0, kw_only=True)
    lapse: float = eqx.field(default=0.0, kw_only=True)

    has_random_plans: ClassVar[bool] = False

    @abc.abstractmethod
    def plan_episode(self, key: jax.Array, belief: Belief, trial: jax.Array) -> jax.Array:
        """Plans the actions of an episode, [N, steps, S]; pay-offs in the belief are already multiplied by `sign`."""

    def initialize_carry(self, n: int) -> History:
        """Returns a history without any step or plan."""
        states, _, steps, length = self.sizes
        empty = jnp.full((n, length), -1, jnp.int32)
        plan = jnp.zeros((n, steps, states), jnp.int32)
        return History(empty, empty, jnp.zeros((n, length)), jnp.zeros(n, jnp.int32), plan)

    def respond(self, key: jax.Array, carry: History, percept: Percept) -> tuple[Any, Response]:
        """Records the last step, plans if an episode begins, and takes the planned action."""
        _, actions, steps, longest = self.sizes
        state = percept.observation.argmax(-1).astype(jnp.int32)
        is_first_step = percept.step == 0
        last = percept.trial * steps + percept.step - 1
        is_last_slot = jnp.arange(longest) == jnp.where(percept.first, -1, last)[:, None]
        next_state = jnp.where(is_first_step, -1, state)  # an episode's last state is not shown
        carry = carry._replace(
            state_action=jnp.where(is_last_slot, (carry.state * actions + percept.action)[:, None], carry.state_action),
            next_state=jnp.where(is_last_slot, next_state[:, None], carry.next_state),
            feedback=jnp.where(is_last_slot, percept.feedback[:, None], carry.feedback),
            state=state,
        )
        plan = jax.lax.cond(is_first_step.any(), self._plan, lambda key, c, *_: c.plan, key, carry, percept)
        carry = carry._replace(plan=jnp.where(is_first_step[:, None, None], plan, carry.plan))
        probabilities = jax.nn.one_hot(carry.plan[jnp.arange(len(state)), percept.step, state], actions)
        response = choose(key, compute_log_probs_with_lapses(probabilities, self.lapse))
        return carry, response._replace(log_probs=None) if self.has_random_plans else response

    def _plan(self, key: jax.Array, carry: History, percept: Percept) -> jax.Array:
        """Computes the belief from the remembered steps, and plans the next episode, [N, steps, S]."""
        states, actions, steps, longest = self.sizes
        pairs, age = states * actions, percept.trial[:, None] - jnp.arange(longest) // steps
        is_remembered = (carry.state_action >= 0) & ((age <= self.memory) | (self.memory == 0))
        state_action = jnp.where(is_remembered, carry.state_action, pairs)
        has_successor = is_remembered & (carry.next_state >= 0)
        transition_index = jnp.where(has_successor, carry.state_action * states + carry.next_state, pairs * states)
        n, table = len(state_action), (len(state_action), states, actions)
        weight = is_remembered.astype(jnp.float32)
        action_counts = sum_by_index(n, pairs, state_action, weight).reshape(table)
        sums = sum_by_index(n, pairs, state_action, weight * carry.feedback).reshape(table)
        transitions = sum_by_index(n, pairs * states, transition_index, weight).reshape(*table, states)
        mean_payoffs = self.sign * (PRIOR_MEAN + sums) / (1.0 + action_counts)
        belief = Belief(transitions, mean_payoffs, action_counts, transition_index)
        return self.plan_episode(derive_key(key, "plan"), belief, percept.trial)


def sum_by_index(n: int, size: int, indices: jax.Array, values: jax.Array) -> jax.Array:
    """Sums the values [n, L] of each row by their indices [n, L], into [n, size]; ignores indices beyond the end."""
    return jnp.zeros((n, size)).at[jnp.arange(n)[:, None], indices].add(values, mode="drop")


def plan_backward(payoffs: jax.Array, steps: int, compute_expectation: Any) -> jax.Array:
    """Finds the best policy [N, steps, S] for an episode by backward induction.

    Args:
        payoffs: [N, S, A] the mean pay-off of each action in each state.
        steps: the number of steps in the episode.
        compute_expectation: a function from the values [N, S] of states at the next step to their expectation [N, S, A]
            after each action in each state.
    """

    def plan_step(values, _):
        action_values = payoffs + compute_expectation(values)
        return action_values.max(-1), action_values.argmax(-1).astype(jnp.int32)

    policy = jax.lax.scan(plan_step, jnp.zeros(payoffs.shape[:2]), None, length=steps)[1]
    return jnp.moveaxis(policy[::-1], 0, 1)


def make_expectation(transitions: jax.Array) -> Any:
    """Makes the function of expected values that `plan_backward` takes, from transition probabilities [N, S, A, S']."""
    return lambda values: jnp.einsum("nsap,np->nsa", transitions, values)


def infer_transitions(belief: Belief) -> jax.Array:
    """Computes the posterior means of the transition probabilities under a flat Dirichlet prior, [N, S, A, S']."""
    weights = 1.0 + belief.transitions
    return weights / weights.sum(-1, keepdims=True)


def sample_posterior(key: jax.Array, belief: Belief, n_draws: int) -> tuple[jax.Array, jax.Array]:
    """Draws transitions [draws, N, S, A, S'] and mean pay-offs [draws, N, S, A] from the posterior.

    The parameters of the Dirichlet are whole numbers. So each gamma variate is a sum of exponential variates: one for
    the prior, and one for every observed transition.
    """
    n, size = len(belief.transitions), belief.transitions[0].size

    def draw_sample(key):
        first = jax.random.exponential(derive_key(key, "first"), belief.transitions.shape)
        extra = jax.random.exponential(derive_key(key, "more"), belief.transition_index.shape)
        gammas = first + sum_by_index(n, size, belief.transition_index, extra).reshape(first.shape)
        noise = jax.random.normal(derive_key(key, "pays"), belief.mean_payoffs.shape)
        payoffs = belief.mean_payoffs + jax.lax.rsqrt(1.0 + belief.action_counts) * noise
        return gammas / gammas.sum(-1, keepdims=True), payoffs

    return jax.vmap(draw_sample)(jax.random.split(key, n_draws))


def find_sizes(family: Family) -> tuple[int, int, int, int]:
    """Finds S (states), A (actions), the number of steps in an episode, and the largest number of steps in a lifetime.

    Raises:
        MesascopeError: observations are empty or not vectors, trials have only one step, or actions are real.
    """
    states = family.observation_shape[0] if len(family.observation_shape) == 1 else 0
    if family.steps < 2 or not states or family.choices is None:
        raise MesascopeError(f"{family.name} has no states to plan with.", "Give a tabular MDP: tabular_mdp.")
    longest = max(split.trial_count for split in family.list_splits())
    return states, family.choices, family.steps, longest * family.steps
