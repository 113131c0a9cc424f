"""Shared code of the two-step task's scripted subjects: it reads percepts, learns and chooses."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, as_arrays, choose, require_family
from mesascope.worlds.two_step.families.two_step import TwoStep

UNIT, REAL = (0, 1), (-1e4, 1e4)  # ranges of settings
ANNOUNCED_COUNT = 100.0  # an announced map counts as this many observed transitions


class LastTrial(NamedTuple):
    """The trial that has just ended, each field [N]; if `ended` is false, the other fields are meaningless."""

    ended: jax.Array
    first: jax.Array
    place: jax.Array
    second: jax.Array
    paid: jax.Array


class Announcement(NamedTuple):
    """An announcement in each lifetime.

    Attributes:
        present: [N] whether there is one.
        leads: [N] the state that first choice 0 commonly leads to.
        pays: [N, 2, 2] the mean pay-off of each option of each state.
    """

    present: jax.Array
    leads: jax.Array
    pays: jax.Array


class OpenTrial(NamedTuple):
    """The first choice and the state of the trial in progress, each [N]."""

    first: jax.Array
    place: jax.Array


def open_trial(n: int) -> OpenTrial:
    """The values of `OpenTrial` before the first choice of a lifetime."""
    zero = jnp.zeros(n, jnp.int32)
    return OpenTrial(zero, zero)


def read_last_trial(percept: Percept, trial: OpenTrial, steps: int) -> tuple[LastTrial, OpenTrial]:
    """Updates the last trial and the trial in progress with a percept; an action of -1 changes neither."""
    acted = percept.action >= 0
    action = jnp.maximum(percept.action, 0)
    place = percept.observation[:, :2].argmax(-1).astype(jnp.int32)
    if steps == 1:
        return LastTrial(acted, action, place, jnp.zeros_like(action), percept.feedback), trial
    is_inside = acted & (percept.step == 1)
    ended = acted & (percept.step == 0)
    trial = OpenTrial(jnp.where(is_inside, action, trial.first), jnp.where(is_inside, place, trial.place))
    return LastTrial(ended, trial.first, trial.place, action, percept.feedback), trial


def read_announcement(percept: Percept) -> Announcement:
    """Reads the announcement from a percept."""
    present = percept.observation[:, 2] > 0
    leads = (percept.observation[:, 3] < 0).astype(jnp.int32)
    return Announcement(present, leads, percept.observation[:, 4:8].reshape(-1, 2, 2))


def move_towards(table: jax.Array, mask: Any, target: jax.Array, rate: Any) -> jax.Array:
    """Moves the entries of a table [N, …] in `mask` [N, …] by the fraction `rate` towards `target` [N]."""
    target = target.reshape(target.shape + (1,) * (table.ndim - 1))
    return table + rate * mask * (target - table)


class Beliefs(NamedTuple):
    """What the subject carries.

    Attributes:
        first: [N, 2] cached values of the first choices.
        options: [N, 2, 2] values of the options of both states.
        transitions: [N, 2, 2] the expected frequency of each state after each first choice, up to a factor.
        last: [N] the last first choice, -1 for none.
        trial: the trial in progress.
    """

    first: jax.Array
    options: jax.Array
    transitions: jax.Array
    last: jax.Array
    trial: OpenTrial


class Mixture(Scripted):
    """Makes its first choice from a mixture of planned and cached values (Daw et al. 2011).

    Attributes:
        shared: whether both options of a state share one value.
        usual: the probability of the common transition in training.
        weight: the weight of the planned values.
        rate: the learning rate of options and of first choices.
        decay: λ, the part of the prediction error of the second stage that also updates the first choice.
        beta: the inverse temperature of both stages.
        stay: a bonus on the value of the last first choice.
        initial: the initial value of every first choice and option.
        counts: whether it counts transitions; otherwise it learns them at `rate`, as a successor representation does.
        uses_map: whether it uses an announced map; it always uses announced pay-offs.
        greedy: whether the first choice's value learns from the state's better option, not from the chosen one.
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
    uses_map: jax.Array
    greedy: jax.Array

    def fresh(self, n: int) -> Beliefs:
        """The initial beliefs: transitions are as in training, or uniform for a successor representation."""
        common = self.usual * jnp.eye(2) + (1.0 - self.usual) * (1.0 - jnp.eye(2))
        transitions = jnp.where(self.counts, 10.0 * common, 0.5)
        options = jnp.broadcast_to(self.initial, (n, 2, 2))
        last = jnp.full(n, -1, jnp.int32)
        return Beliefs(options[:, 0], options, jnp.broadcast_to(transitions, (n, 2, 2)), last, open_trial(n))

    def respond(self, key, carry: Beliefs, percept: Percept):
        """Learns from the last trial and from an announcement, then chooses."""
        last, trial = read_last_trial(percept, carry.trial, self.steps)
        carry = self._update_announced(self._learn(carry, last), read_announcement(percept))
        carry = carry._replace(trial=trial)
        best = carry.options.max(-1)
        transitions = carry.transitions / carry.transitions.sum(-1, keepdims=True)
        planned = (transitions * best[:, None]).sum(-1)
        values = self.weight * planned + (1.0 - self.weight) * carry.first
        values = values + self.stay * jax.nn.one_hot(carry.last, 2)
        if self.steps == 2:
            second = carry.options[jnp.arange(len(trial.place)), trial.place]
            values = jnp.where((percept.step == 0)[:, None], values, second)
        return carry, choose(key, jax.nn.log_softmax(self.beta * values))

    def _learn(self, carry: Beliefs, trial: LastTrial) -> Beliefs:
        """Updates the beliefs with a completed trial."""
        ended = trial.ended.astype(jnp.float32)
        rows = jnp.arange(len(ended))
        first = jax.nn.one_hot(trial.first, 2) * ended[:, None]
        place, second = jax.nn.one_hot(trial.place, 2), jax.nn.one_hot(trial.second, 2)
        option = ended[:, None, None] * place[..., None] * second[:, None, :]
        option = jnp.where(self.shared, option.sum(-1, keepdims=True), option)
        reached = carry.options[rows, trial.place]
        target = jnp.where(self.greedy, reached.max(-1), reached[rows, trial.second])
        error = trial.paid - reached[rows, trial.second]
        cached = move_towards(carry.first, first, target, self.rate) + self.decay * self.rate * first * error[:, None]
        options = move_towards(carry.options, option, trial.paid, self.rate)
        counted = first[..., None] * place[:, None, :]
        learned = self.rate * first[..., None] * (place[:, None, :] - carry.transitions)
        transitions = carry.transitions + jnp.where(self.counts, counted, learned)
        last = jnp.where(trial.ended, trial.first, carry.last)
        return Beliefs(cached, options, transitions, last, carry.trial)

    def _update_announced(self, carry: Beliefs, announcement: Announcement) -> Beliefs:
        """Updates the beliefs with an announcement."""
        present = announcement.present[:, None, None]
        options = jnp.where(present, announcement.pays, carry.options)
        leads = jax.nn.one_hot(announcement.leads, 2)
        common = jnp.stack([leads, 1.0 - leads], 1)  # [N, first choice, state]
        transitions = ANNOUNCED_COUNT * (self.usual * common + (1.0 - self.usual) * (1.0 - common))
        transitions = jnp.where(present & self.uses_map, transitions, carry.transitions)
        return carry._replace(options=options, transitions=transitions)


def make_mixture(
    family: Family,
    *,
    counts: bool = True,
    uses_map: bool = True,
    greedy: bool = False,
    decay: float = 1.0,
    stay: float = 0.0,
    **numbers: float,
) -> Mixture:
    """Makes a `Mixture` for the family; the settings are described there.

    Raises:
        MesascopeError: the family is not the two-step task.
    """
    home = require_two_step(family)
    flags = {"shared": home.version != "daw", "counts": counts, "uses_map": uses_map, "greedy": greedy}
    arrays: dict[str, Any] = {k: jnp.asarray(v) for k, v in flags.items()} | as_arrays(
        decay=decay, stay=stay, **numbers
    )
    return Mixture(steps=home.steps, usual=home.usual, **arrays)


def require_two_step(family: Family) -> TwoStep:
    """Returns the family if it is the two-step task.

    Raises:
        MesascopeError: the family is not the two-step task.
    """
    return require_family(family, TwoStep, "has no two stages", "Use --family two_step.")
