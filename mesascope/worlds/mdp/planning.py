"""Helpers of subjects of tabular processes: they record transitions and pay-offs, and plan before every episode."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Family, Percept, Response, Scripted, choose
from mesascope.errors import MesascopeError
from mesascope.keys import address

PRIOR = 1.0  # prior mean of the mean pay-offs; the prior variance and the noise variance are 1


class Counts(NamedTuple):
    """The record of all steps so far, and the plan for the episode.

    Attributes:
        pair: [N, L] state · A + action of each step, or -1 for a step that is not yet taken.
        reached: [N, L] the state that followed, or -1 if it was not shown.
        paid: [N, L] the pay-off of each step.
        place: [N] the state in which the last action was taken.
        plan: [N, steps, S] the planned action at each step and state of the episode.
    """

    pair: jax.Array
    reached: jax.Array
    paid: jax.Array
    place: jax.Array
    plan: jax.Array


class Belief(NamedTuple):
    """Sufficient statistics of the posterior.

    Attributes:
        moves: [N, S, A, S'] the count of each transition, without the prior count of one.
        mean: [N, S, A] the posterior mean of the mean pay-off.
        times: [N, S, A] the count of each action in each state; the posterior variance is 1 / (1 + times).
        seen: [N, L] the index of each step's transition in the flattened `moves`, or one beyond its end if the step has
            none.
    """

    moves: jax.Array
    mean: jax.Array
    times: jax.Array
    seen: jax.Array


class Planner(Scripted):
    """Plans before every episode and then follows the plan; subclasses define `plan_episode`.

    Attributes:
        shape: S, A, the number of steps in an episode, and L, the largest number of steps in a lifetime.
        sign: 1, or -1 to minimise pay-off.
        memory: the number of past episodes that it remembers; 0 for all.
        lapse: the fraction of the actions that are random.
        draws_plans: whether plans are random, so that action probabilities are not available.
    """

    shape: tuple[int, int, int, int]
    sign: float = eqx.field(default=1.0, kw_only=True)
    memory: int = eqx.field(default=0, kw_only=True)
    lapse: float = eqx.field(default=0.0, kw_only=True)

    draws_plans: ClassVar[bool] = False

    @abc.abstractmethod
    def plan_episode(self, key: jax.Array, belief: Belief, trial: jax.Array) -> jax.Array:
        """[N, steps, S] the planned actions of an episode; the belief's pay-offs are already multiplied by `sign`."""

    def fresh(self, n: int) -> Counts:
        """Returns an empty record without a plan."""
        states, _, steps, length = self.shape
        empty = jnp.full((n, length), -1, jnp.int32)
        plan = jnp.zeros((n, steps, states), jnp.int32)
        return Counts(empty, empty, jnp.zeros((n, length)), jnp.zeros(n, jnp.int32), plan)

    def respond(self, key: jax.Array, carry: Counts, percept: Percept) -> tuple[Any, Response]:
        """Records the last step, plans at the first step of an episode, and acts as planned."""
        _, actions, steps, longest = self.shape
        place = percept.observation.argmax(-1).astype(jnp.int32)
        starts = percept.step == 0
        last = percept.trial * steps + percept.step - 1
        slot = jnp.arange(longest) == jnp.where(percept.first, -1, last)[:, None]
        reached = jnp.where(starts, -1, place)  # an episode's last state is not shown
        carry = carry._replace(
            pair=jnp.where(slot, (carry.place * actions + percept.action)[:, None], carry.pair),
            reached=jnp.where(slot, reached[:, None], carry.reached),
            paid=jnp.where(slot, percept.feedback[:, None], carry.paid),
            place=place,
        )
        plan = jax.lax.cond(starts.any(), self._plan, lambda key, c, *_: c.plan, key, carry, percept)
        carry = carry._replace(plan=jnp.where(starts[:, None, None], plan, carry.plan))
        probabilities = jax.nn.one_hot(carry.plan[jnp.arange(len(place)), percept.step, place], actions)
        response = choose(key, mix_lapse(probabilities, self.lapse))
        return carry, response._replace(log_probs=None) if self.draws_plans else response

    def _plan(self, key: jax.Array, carry: Counts, percept: Percept) -> jax.Array:
        states, actions, steps, longest = self.shape
        pairs, age = states * actions, percept.trial[:, None] - jnp.arange(longest) // steps
        is_remembered = (carry.pair >= 0) & ((age <= self.memory) | (self.memory == 0))
        pair = jnp.where(is_remembered, carry.pair, pairs)
        has_successor = is_remembered & (carry.reached >= 0)
        seen = jnp.where(has_successor, carry.pair * states + carry.reached, pairs * states)
        n, table = len(pair), (len(pair), states, actions)
        weight = is_remembered.astype(jnp.float32)
        times, sums = (sum_by_place(n, pairs, pair, x).reshape(table) for x in (weight, weight * carry.paid))
        moves = sum_by_place(n, pairs * states, seen, weight).reshape(*table, states)
        belief = Belief(moves, self.sign * (PRIOR + sums) / (1.0 + times), times, seen)
        return self.plan_episode(address(key, "plan"), belief, percept.trial)


def sum_by_place(n: int, size: int, places: jax.Array, values: jax.Array) -> jax.Array:
    """[n, size] the sum at each place of the values [n, L] with places [n, L]; places beyond the end are ignored."""
    return jnp.zeros((n, size)).at[jnp.arange(n)[:, None], places].add(values, mode="drop")


def backward_induction(pays: jax.Array, steps: int, expected: Any) -> jax.Array:
    """[N, steps, S] the best policy for an episode, found by backward induction.

    Args:
        pays: [N, S, A] mean pay-offs.
        steps: the number of steps in the episode.
        expected: a function that maps the values [N, S] at the next step to their expectation [N, S, A] after each
            action.
    """

    def step(values, _):
        action_values = pays + expected(values)
        return action_values.max(-1), action_values.argmax(-1).astype(jnp.int32)

    policy = jax.lax.scan(step, jnp.zeros(pays.shape[:2]), None, length=steps)[1]
    return jnp.moveaxis(policy[::-1], 0, 1)


def make_expectation(moves: jax.Array) -> Any:
    """Makes the argument `expected` of `backward_induction` for transitions [N, S, A, S']."""
    return lambda values: jnp.einsum("nsap,np->nsa", moves, values)


def average_moves(belief: Belief) -> jax.Array:
    """[N, S, A, S'] the posterior means of the transition probabilities under a flat Dirichlet prior."""
    weights = 1.0 + belief.moves
    return weights / weights.sum(-1, keepdims=True)


def sample_posterior(key: jax.Array, belief: Belief, draws: int) -> tuple[jax.Array, jax.Array]:
    """Draws transitions [draws, N, S, A, S'] and mean pay-offs [draws, N, S, A] from the posterior.

    The parameters of the Dirichlet are whole numbers, so each gamma variate is a sum of exponential variates: one for
    the prior and one for every transition seen.
    """
    n, size = len(belief.moves), belief.moves[0].size

    def draw(key):
        first = jax.random.exponential(address(key, "first"), belief.moves.shape)
        extra = jax.random.exponential(address(key, "more"), belief.seen.shape)
        gammas = first + sum_by_place(n, size, belief.seen, extra).reshape(first.shape)
        noise = jax.random.normal(address(key, "pays"), belief.mean.shape)
        return gammas / gammas.sum(-1, keepdims=True), belief.mean + jax.lax.rsqrt(1.0 + belief.times) * noise

    return jax.vmap(draw)(jax.random.split(key, draws))


def find_shape(family: Family) -> tuple[int, int, int, int]:
    """S, A, the number of steps in an episode, and the number in the longest lifetime.

    Raises:
        MesascopeError: the observation is not a one-hot state, or trials have only one step.
    """
    states = family.shown[0] if len(family.shown) == 1 else 0
    if family.steps < 2 or not states or family.choices is None:
        raise MesascopeError(f"{family.name} has no states to plan with.", "Give a family of episodes: tabular_mdp.")
    longest = max(split.trials for split in family.splits())
    return states, family.choices, family.steps, longest * family.steps
