"""What scripted subjects of the two-step task share: what a percept tells of the last trial, and how they choose."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, as_arrays, choose, require_family
from mesascope.worlds.two_step.families.two_step import TwoStep

UNIT, REAL = (0, 1), (-1e4, 1e4)  # ranges of settings
SURE = 100.0  # transitions that an announcement counts for


class LastTrial(NamedTuple):
    """The last whole trial, each [N]: known where one has just ended; all else means nothing elsewhere."""

    known: jax.Array
    first: jax.Array
    place: jax.Array
    second: jax.Array
    paid: jax.Array


class Announcement(NamedTuple):
    """An announcement: told [N], leads [N] the state that the first choice commonly leads to, pays [N, 2, 2]."""

    told: jax.Array
    leads: jax.Array
    pays: jax.Array


class Values(NamedTuple):
    """The trial that is being lived, each [N]."""

    first: jax.Array
    place: jax.Array


def initial_state(n: int) -> Values:
    """No trial yet."""
    zero = jnp.zeros(n, jnp.int32)
    return Values(zero, zero)


def last_trial(percept: Percept, held: Values, steps: int) -> tuple[LastTrial, Values]:
    """What a percept tells of the last trial, and what is held of the present one; an act of -1 tells nothing."""
    acted = percept.action >= 0
    action = jnp.maximum(percept.action, 0)
    place = percept.observation[:, :2].argmax(-1).astype(jnp.int32)
    if steps == 1:
        return LastTrial(acted, action, place, jnp.zeros_like(action), percept.feedback), held
    amid = acted & (percept.step == 1)
    ended = acted & (percept.step == 0)
    held = Values(jnp.where(amid, action, held.first), jnp.where(amid, place, held.place))
    return LastTrial(ended, held.first, held.place, action, percept.feedback), held


def announcement(percept: Percept) -> Announcement:
    """What is announced."""
    told = percept.observation[:, 2] > 0
    leads = (percept.observation[:, 3] < 0).astype(jnp.int32)
    return Announcement(told, leads, percept.observation[:, 4:8].reshape(-1, 2, 2))


def move_towards(table: jax.Array, where: Any, target: jax.Array, rate: Any) -> jax.Array:
    """A table [N, …] in which the entries that `where` [N, …] marks went by `rate` towards `target` [N]."""
    target = target.reshape(target.shape + (1,) * (table.ndim - 1))
    return table + rate * where * (target - table)


class Beliefs(NamedTuple):
    """first [N, 2] values of the first choices; options [N, 2, 2] of both states'; way [N, 2, 2] how often each first
    choice is thought to lead to each state; last [N] the first choice before; held.
    """

    first: jax.Array
    options: jax.Array
    way: jax.Array
    last: jax.Array
    held: Values


class Mixture(Scripted):
    """Chooses first by a mixture of planned and of cached values (Daw et al. 2011); its numbers are data.

    Attributes:
        shared: whether both options of a state are one.
        weight: of the planned values.
        rate: the part of a prediction error that is taken over, of options and of first choices.
        decay: λ, the part of the error of the second stage that reaches the first choice at once.
        beta: inverse temperature of both stages.
        stay: what is added to the value of the last first choice.
        initial: all values at birth.
        counts: whether ways are counted (else taken over by `rate`, as a successor representation is).
        heeds: whether an announced map is taken over; what states pay is by everybody.
        greedy: whether the first choice learns from the better option and not from the one that was taken.
    """

    steps: int
    shared: jax.Array
    usual: jax.Array
    weight: jax.Array
    rate: jax.Array
    decay: jax.Array
    beta: jax.Array
    stay: jax.Array
    initial: jax.Array
    counts: jax.Array
    heeds: jax.Array
    greedy: jax.Array

    def fresh(self, n: int) -> Beliefs:
        """Values as initial; ways as in training, or even for a successor representation."""
        own = self.usual * jnp.eye(2) + (1.0 - self.usual) * (1.0 - jnp.eye(2))
        way = jnp.where(self.counts, 10.0 * own, 0.5)
        options = jnp.broadcast_to(self.initial, (n, 2, 2))
        last = jnp.full(n, -1, jnp.int32)
        return Beliefs(options[:, 0], options, jnp.broadcast_to(way, (n, 2, 2)), last, initial_state(n))

    def respond(self, key, carry: Beliefs, percept: Percept):
        """Takes in the last trial and what is announced, then chooses."""
        trial, held = last_trial(percept, carry.held, self.steps)
        carry = self._heard(self._learnt(carry, trial), announcement(percept))._replace(held=held)
        chooses = percept.step == 0
        best = carry.options.max(-1)
        way = carry.way / carry.way.sum(-1, keepdims=True)
        planned = (way * best[:, None]).sum(-1)
        values = self.weight * planned + (1.0 - self.weight) * carry.first
        values = values + self.stay * jax.nn.one_hot(carry.last, 2)
        if self.steps == 2:
            here = carry.options[jnp.arange(len(held.place)), held.place]
            values = jnp.where(chooses[:, None], values, here)
        return carry, choose(key, jax.nn.log_softmax(self.beta * values))

    def _learnt(self, carry: Beliefs, trial: LastTrial) -> Beliefs:
        """After a trial."""
        known = trial.known.astype(jnp.float32)
        rows = jnp.arange(len(known))
        first = jax.nn.one_hot(trial.first, 2) * known[:, None]
        place, second = jax.nn.one_hot(trial.place, 2), jax.nn.one_hot(trial.second, 2)
        option = known[:, None, None] * place[..., None] * second[:, None, :]
        option = jnp.where(self.shared, option.sum(-1, keepdims=True), option)
        there = carry.options[rows, trial.place]
        target = jnp.where(self.greedy, there.max(-1), there[rows, trial.second])
        error = trial.paid - there[rows, trial.second]
        cached = (
            move_towards(carry.first, first, target, self.rate)
            + self.decay * self.rate * first * error[:, None]
        )
        options = move_towards(carry.options, option, trial.paid, self.rate)
        went = first[..., None] * place[:, None, :]
        expected = self.rate * first[..., None] * (place[:, None, :] - carry.way)
        way = carry.way + jnp.where(self.counts, went, expected)
        return Beliefs(cached, options, way, jnp.where(trial.known, trial.first, carry.last), carry.held)

    def _heard(self, carry: Beliefs, news: Announcement) -> Beliefs:
        """After an announcement."""
        told = news.told[:, None, None]
        options = jnp.where(told, news.pays, carry.options)
        leads = jax.nn.one_hot(news.leads, 2)
        common = jnp.stack([leads, 1.0 - leads], 1)  # [N, first choice, state]
        way = SURE * (self.usual * common + (1.0 - self.usual) * (1.0 - common))
        return carry._replace(options=options, way=jnp.where(told & self.heeds, way, carry.way))


def make_mixture(
    family: Family,
    *,
    counts: bool = True,
    heeds: bool = True,
    greedy: bool = False,
    decay: float = 1.0,
    stay: float = 0.0,
    **numbers: float,
) -> Mixture:
    """A mixture with these numbers, see `Mixed`.

    Raises:
        MesascopeError: another family.
    """
    home = require_two_step(family)
    told = {"shared": home.version != "daw", "counts": counts, "heeds": heeds, "greedy": greedy}
    held: dict[str, Any] = {k: jnp.asarray(v) for k, v in told.items()} | as_arrays(
        decay=decay, stay=stay, **numbers
    )
    return Mixture(steps=home.steps, usual=home.usual, **held)


def require_two_step(family: Family) -> TwoStep:
    """The family, where it is the two-step task.

    Raises:
        MesascopeError: another family.
    """
    return require_family(family, TwoStep, "has no two stages", "Put it to two_step.")
