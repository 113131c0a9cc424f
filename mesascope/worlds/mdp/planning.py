"""What subjects of tabular processes share: counts of what was seen, and a plan made before every episode."""

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
PRIOR = 1.0  # mean of the mean pay-offs, their variance and that of a pay-off around its mean being 1


class Counts(NamedTuple):
    """What happened, by tick, and the plan.

    Attributes:
        pair: [N, L] state · A + action, -1 where nothing was done yet.
        reached: [N, L] the state that followed, -1 where it was not shown.
        paid: [N, L].
        place: [N] the state in which the last action was done.
        plan: [N, steps, S] what is done in the episode.
    """

    pair: jax.Array
    reached: jax.Array
    paid: jax.Array
    place: jax.Array
    plan: jax.Array


class Belief(NamedTuple):
    """What is believed.

    Attributes:
        moves: [N, S, A, S'] how often each transition was seen, beside one before the first.
        mean: [N, S, A] posterior mean of the mean pay-off.
        times: [N, S, A] how often it was seen; the posterior variance is 1 / (1 + times).
        seen: [N, L] the places of the transitions in `moves` laid flat, beyond its end where there is none.
    """

    moves: jax.Array
    mean: jax.Array
    times: jax.Array
    seen: jax.Array


class Planner(Scripted):
    """Plans before every episode and then follows the plan; subclasses say how.

    Attributes:
        shape: S, A, the steps of an episode, and L, the most of a lifetime.
        sign: 1, or -1 for one that wants to be paid little.
        memory: how many episodes back it remembers.
        lapse: part of the acts that is even over all actions.
        draws_plans: whether plans are drawn, so that the probabilities of acts are not at hand.
    """

    shape: tuple[int, int, int, int]
    sign: float = eqx.field(default=1.0, kw_only=True)
    memory: int = eqx.field(default=FOREVER, kw_only=True)
    lapse: float = eqx.field(default=0.0, kw_only=True)

    draws_plans: ClassVar[bool] = False

    @abc.abstractmethod
    def plan_episode(self, key: jax.Array, belief: Belief, trial: jax.Array) -> jax.Array:
        """[N, steps, S] the actions of an episode, from what is believed; pay-offs come with the sign."""

    def fresh(self, n: int) -> Counts:
        """Nothing seen, no plan."""
        states, _, steps, most = self.shape
        none = jnp.full((n, most), -1, jnp.int32)
        plan = jnp.zeros((n, steps, states), jnp.int32)
        return Counts(none, none, jnp.zeros((n, most)), jnp.zeros(n, jnp.int32), plan)

    def respond(self, key: jax.Array, carry: Counts, percept: Percept) -> tuple[Any, Response]:
        """Writes down, plans at the first step of an episode, and acts as planned."""
        _, actions, steps, most = self.shape
        place = percept.observation.argmax(-1).astype(jnp.int32)
        begins = percept.step == 0
        last = percept.trial * steps + percept.step - 1
        now = jnp.arange(most) == jnp.where(percept.first, -1, last)[:, None]
        reached = jnp.where(begins, -1, place)  # an episode's last state is not shown
        carry = carry._replace(
            pair=jnp.where(now, (carry.place * actions + percept.action)[:, None], carry.pair),
            reached=jnp.where(now, reached[:, None], carry.reached),
            paid=jnp.where(now, percept.feedback[:, None], carry.paid),
            place=place,
        )
        plan = jax.lax.cond(begins.any(), self._plan, lambda key, c, *_: c.plan, key, carry, percept)
        carry = carry._replace(plan=jnp.where(begins[:, None, None], plan, carry.plan))
        act = jax.nn.one_hot(carry.plan[jnp.arange(len(place)), percept.step, place], actions)
        response = choose(key, mix_lapse(act, self.lapse))
        return carry, response._replace(log_probs=None) if self.draws_plans else response

    def _plan(self, key: jax.Array, carry: Counts, percept: Percept) -> jax.Array:
        states, actions, steps, most = self.shape
        pairs, age = states * actions, percept.trial[:, None] - jnp.arange(most) // steps
        known = (carry.pair >= 0) & (age <= self.memory)
        pair = jnp.where(known, carry.pair, pairs)
        there = known & (carry.reached >= 0)
        seen = jnp.where(there, carry.pair * states + carry.reached, pairs * states)
        n, table = len(pair), (len(pair), states, actions)
        one = known.astype(jnp.float32)
        times, paid = (sum_by_place(n, pairs, pair, x).reshape(table) for x in (one, one * carry.paid))
        moves = sum_by_place(n, pairs * states, seen, one).reshape(*table, states)
        belief = Belief(moves, self.sign * (PRIOR + paid) / (1.0 + times), times, seen)
        return self.plan_episode(address(key, "plan"), belief, percept.trial)


def sum_by_place(n: int, size: int, places: jax.Array, values: jax.Array) -> jax.Array:
    """[n, size] sums of values [n, L] by place [n, L]; places beyond the end are left out."""
    return jnp.zeros((n, size)).at[jnp.arange(n)[:, None], places].add(values, mode="drop")


def backward_induction(pays: jax.Array, steps: int, expected: Any) -> jax.Array:
    """[N, steps, S] the best policy of an episode by backward induction.

    Args:
        pays: [N, S, A].
        steps: of the episode.
        expected: expected(later [N, S]) → [N, S, A] what an action leads to.
    """

    def step(later, _):
        worth = pays + expected(later)
        return worth.max(-1), worth.argmax(-1).astype(jnp.int32)

    policy = jax.lax.scan(step, jnp.zeros(pays.shape[:2]), None, length=steps)[1]
    return jnp.moveaxis(policy[::-1], 0, 1)


def expected_next(moves: jax.Array) -> Any:
    """`expected` of `backward` under transitions [N, S, A, S']."""
    return lambda later: jnp.einsum("nsap,np->nsa", moves, later)


def mean_moves(belief: Belief) -> jax.Array:
    """Posterior means of the transitions, under a flat Dirichlet."""
    weights = 1.0 + belief.moves
    return weights / weights.sum(-1, keepdims=True)


def sample_posterior(key: jax.Array, belief: Belief, draws: int) -> tuple[jax.Array, jax.Array]:
    """Draws from the posterior: moves [draws, N, S, A, S'] and pay-offs [draws, N, S, A].

    A Dirichlet's weights are whole numbers here, so a gamma variate is a sum of exponential ones: one for the prior and
    one for every transition seen.
    """
    n, size = len(belief.moves), belief.moves[0].size

    def draw(key):
        first = jax.random.exponential(address(key, "first"), belief.moves.shape)
        more = jax.random.exponential(address(key, "more"), belief.seen.shape)
        raw = first + sum_by_place(n, size, belief.seen, more).reshape(first.shape)
        noise = jax.random.normal(address(key, "pays"), belief.mean.shape)
        return raw / raw.sum(-1, keepdims=True), belief.mean + jax.lax.rsqrt(1.0 + belief.times) * noise

    return jax.vmap(draw)(jax.random.split(key, draws))


def problem_shape(family: Family) -> tuple[int, int, int, int]:
    """S, A, the steps of an episode, and the steps of the longest lifetime.

    Raises:
        MesascopeError: the family does not show one of a number of states, or has trials of one step.
    """
    states = family.shown[0] if len(family.shown) == 1 else 0
    if family.steps < 2 or not states or family.choices is None:
        raise MesascopeError(
            f"{family.name} has no states to plan through.", "Give a family of episodes: tabular_mdp."
        )
    longest = max(split.trials for split in family.splits())
    return states, family.choices, family.steps, longest * family.steps
