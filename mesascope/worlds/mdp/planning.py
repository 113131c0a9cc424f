"""Shared by subjects of tabular processes: a record of transitions and pay-offs, and a plan before every episode."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Family, Percept, Response, Scripted, choose
from mesascope.errors import MesascopeError
from mesascope.keys import address

FOREVER = 1 << 30
PRIOR = 1.0  # prior mean of the mean pay-offs; the prior variance and the noise variance are 1


class Counts(NamedTuple):
    """The record of all steps so far, and the plan.

    Attributes:
        pair: [N, L] state · A + action of each step, -1 before it is taken.
        reached: [N, L] the state that followed, -1 if it was not shown.
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
        moves: [N, S, A, S'] counts of each transition, without the prior count of one.
        mean: [N, S, A] posterior mean of the mean pay-off.
        times: [N, S, A] counts of each state and action; the posterior variance is 1 / (1 + times).
        seen: [N, L] index of each step's transition in the flattened `moves`; beyond its end if there is none.
    """

    moves: jax.Array
    mean: jax.Array
    times: jax.Array
    seen: jax.Array


class Planner(Scripted):
    """Plans before every episode and then follows the plan; subclasses define `plan_episode`.

    Attributes:
        shape: S, A, the steps of an episode, and L, the most steps of a lifetime.
        sign: 1, or -1 to minimise pay-off.
        memory: the number of past episodes that it remembers.
        lapse: the fraction of the actions that are random.
        draws_plans: whether plans are random, so that action probabilities are not available.
    """

    shape: tuple[int, int, int, int]
    sign: float = eqx.field(default=1.0, kw_only=True)
    memory: int = eqx.field(default=FOREVER, kw_only=True)
    lapse: float = eqx.field(default=0.0, kw_only=True)

    draws_plans: ClassVar[bool] = False

    @abc.abstractmethod
    def plan_episode(self, key: jax.Array, belief: Belief, trial: jax.Array) -> jax.Array:
        """[N, steps, S] the planned actions of an episode; the belief's pay-offs already have the sign."""

    def fresh(self, n: int) -> Counts:
        """An empty record and no plan."""
        states, _, steps, length = self.shape
        empty = jnp.full((n, length), -1, jnp.int32)
        plan = jnp.zeros((n, steps, states), jnp.int32)
        return Counts(empty, empty, jnp.zeros((n, length)), jnp.zeros(n, jnp.int32), plan)

    def respond(self, key: jax.Array, carry: Counts, percept: Percept) -> tuple[Any, Response]:
        """Records the last step, plans at the first step of an episode, and acts as planned."""
        _, actions, steps, most = self.shape
        place = percept.observation.argmax(-1).astype(jnp.int32)
        starts = percept.step == 0
        last = percept.trial * steps + percept.step - 1
        slot = jnp.arange(most) == jnp.where(percept.first, -1, last)[:, None]
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
        states, actions, steps, most = self.shape
        pairs, age = states * actions, percept.trial[:, None] - jnp.arange(most) // steps
        remembered = (carry.pair >= 0) & (age <= self.memory)
        pair = jnp.where(remembered, carry.pair, pairs)
        followed = remembered & (carry.reached >= 0)
        seen = jnp.where(followed, carry.pair * states + carry.reached, pairs * states)
        n, table = len(pair), (len(pair), states, actions)
        weight = remembered.astype(jnp.float32)
        times, sums = (sum_by_place(n, pairs, pair, x).reshape(table) for x in (weight, weight * carry.paid))
        moves = sum_by_place(n, pairs * states, seen, weight).reshape(*table, states)
        belief = Belief(moves, self.sign * (PRIOR + sums) / (1.0 + times), times, seen)
        return self.plan_episode(address(key, "plan"), belief, percept.trial)


def sum_by_place(n: int, size: int, places: jax.Array, values: jax.Array) -> jax.Array:
    """[n, size] sums of values [n, L] by place [n, L]; places beyond the end are ignored."""
    return jnp.zeros((n, size)).at[jnp.arange(n)[:, None], places].add(values, mode="drop")


def backward_induction(pays: jax.Array, steps: int, expected: Any) -> jax.Array:
    """[N, steps, S] the best policy of an episode by backward induction.

    Args:
        pays: [N, S, A] mean pay-offs.
        steps: the steps of the episode.
        expected: a function from the values of the next step [N, S] to their expectation after each action [N, S, A].
    """

    def step(later, _):
        action_values = pays + expected(later)
        return action_values.max(-1), action_values.argmax(-1).astype(jnp.int32)

    policy = jax.lax.scan(step, jnp.zeros(pays.shape[:2]), None, length=steps)[1]
    return jnp.moveaxis(policy[::-1], 0, 1)


def expected_next(moves: jax.Array) -> Any:
    """The argument `expected` of `backward_induction` under transitions [N, S, A, S']."""
    return lambda later: jnp.einsum("nsap,np->nsa", moves, later)


def mean_moves(belief: Belief) -> jax.Array:
    """Posterior means of the transitions, under a flat Dirichlet."""
    weights = 1.0 + belief.moves
    return weights / weights.sum(-1, keepdims=True)


def sample_posterior(key: jax.Array, belief: Belief, draws: int) -> tuple[jax.Array, jax.Array]:
    """Draws from the posterior: transitions [draws, N, S, A, S'] and mean pay-offs [draws, N, S, A].

    The Dirichlet's weights are whole numbers, so each gamma variate is a sum of exponential variates: one for the prior
    and one for every transition seen.
    """
    n, size = len(belief.moves), belief.moves[0].size

    def draw(key):
        first = jax.random.exponential(address(key, "first"), belief.moves.shape)
        extra = jax.random.exponential(address(key, "more"), belief.seen.shape)
        raw = first + sum_by_place(n, size, belief.seen, extra).reshape(first.shape)
        noise = jax.random.normal(address(key, "pays"), belief.mean.shape)
        return raw / raw.sum(-1, keepdims=True), belief.mean + jax.lax.rsqrt(1.0 + belief.times) * noise

    return jax.vmap(draw)(jax.random.split(key, draws))


def problem_shape(family: Family) -> tuple[int, int, int, int]:
    """S, A, the steps of an episode, and the steps of the longest lifetime.

    Raises:
        MesascopeError: the observation is not a one-hot state, or trials have one step.
    """
    states = family.shown[0] if len(family.shown) == 1 else 0
    if family.steps < 2 or not states or family.choices is None:
        raise MesascopeError(f"{family.name} has no states to plan through.", "Give a family of episodes: tabular_mdp.")
    longest = max(split.trials for split in family.splits())
    return states, family.choices, family.steps, longest * family.steps
