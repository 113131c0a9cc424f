"""Shared code of the two-step task's scripted subjects: reading percepts, and learning a mixture of values."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, require_family
from mesascope.worlds.two_step.families.two_step import TwoStep

UNIT_RANGE, REAL_RANGE = (0, 1), (-1e4, 1e4)  # ranges of settings
DEFAULTS = {
    "counts_transitions": True,
    "uses_announced_transitions": True,
    "is_greedy": False,
    "decay": 1.0,
    "stay_bonus": 0.0,
}  # settings of a mixture
ANNOUNCED_COUNT = 100.0  # announced transitions count as this many observed ones


class LastTrial(NamedTuple):
    """The trial that has just ended, [N] each; where `has_ended` is false, the other fields have no meaning."""

    has_ended: jax.Array
    first_choice: jax.Array
    state: jax.Array
    second_choice: jax.Array
    payoff: jax.Array


class CurrentTrial(NamedTuple):
    """The first choice of the trial in progress, and the state that it led to, [N] each."""

    first_choice: jax.Array
    state: jax.Array


def make_empty_trial(n: int) -> CurrentTrial:
    """Makes the `CurrentTrial` of n lifetimes before their first choice: all zeros."""
    zero = jnp.zeros(n, jnp.int32)
    return CurrentTrial(zero, zero)


def read_last_trial(percept: Percept, trial: CurrentTrial, steps: int) -> tuple[LastTrial, CurrentTrial]:
    """Reads the last trial from a percept, and updates the trial in progress.

    An action of -1 does not change the trial in progress. If trials have one step, it is never updated.
    """
    has_acted = percept.action >= 0
    action = jnp.maximum(percept.action, 0)
    state = percept.observation[:, :2].argmax(-1).astype(jnp.int32)
    if steps == 1:
        return LastTrial(has_acted, action, state, jnp.zeros_like(action), percept.feedback), trial
    is_inside = has_acted & (percept.step == 1)
    has_ended = has_acted & (percept.step == 0)
    trial = CurrentTrial(jnp.where(is_inside, action, trial.first_choice), jnp.where(is_inside, state, trial.state))
    return LastTrial(has_ended, *trial, action, percept.feedback), trial


def select_stage_values(
    first_values: jax.Array, second_values: jax.Array, trial: CurrentTrial, percept: Percept, steps: int
):
    """Selects the values [N, 2] of both choices at the current step of the trial.

    Args:
        first_values: [N, 2] the values of the first choices.
        second_values: [N, 2, 2] the values of the options of both states.
        trial: the trial in progress.
        percept: the current percept.
        steps: the number of steps in a trial, 1 or 2.
    """
    if steps == 1:
        return first_values
    second_values = second_values[jnp.arange(len(trial.state)), trial.state]
    return jnp.where((percept.step == 0)[:, None], first_values, second_values)


def move_towards(table: jax.Array, mask: Any, target: jax.Array, rate: Any) -> jax.Array:
    """Moves the entries of a table [N, …] at which `mask` [N, …] is 1 towards `target` [N], by the fraction `rate`."""
    target = target.reshape(target.shape + (1,) * (table.ndim - 1))
    return table + rate * mask * (target - table)


class Beliefs(NamedTuple):
    """The carry of a `Mixture`.

    Attributes:
        cached_values: [N, 2] cached values of the first choices.
        option_values: [N, 2, 2] values of the options of both states.
        transitions: [N, 2, 2] the expected frequency of each state after each first choice, up to a factor.
        last_choice: [N] the first choice of the last trial, -1 for none.
        trial: the trial in progress.
    """

    cached_values: jax.Array
    option_values: jax.Array
    transitions: jax.Array
    last_choice: jax.Array
    trial: CurrentTrial


class Mixture(ScriptedSubject):
    """Makes its first choice from a mixture of planned and cached values (Daw et al. 2011).

    Attributes:
        steps: the number of steps in a trial, 1 or 2.
        shares_values: whether both options of a state share one value.
        common_probability: the probability of the common transition in training.
        weight: w, the weight of the planned values; cached values have the weight 1 - w.
        rate: the learning rate of the values of options, of cached values, and of transitions that are not counted.
        decay: λ, the part of the prediction error of the second stage that also updates the cached value.
        beta: the inverse temperature of the softmax over values, on both steps of a trial.
        stay_bonus: a bonus on the value of repeating the first choice of the last trial.
        initial_value: the initial value of every first choice and option.
        counts_transitions: whether transitions are counted; otherwise they are learned at `rate`, as by a successor
            representation.
        uses_announced_transitions: whether announced transitions are used; announced pay-offs are always used.
        is_greedy: whether the first choice's value learns from the state's better option, not from the chosen one.
    """

    steps: int
    shares_values: jax.Array
    common_probability: jax.Array
    weight: jax.Array
    rate: jax.Array
    decay: jax.Array
    beta: jax.Array
    stay_bonus: jax.Array
    initial_value: jax.Array
    counts_transitions: jax.Array
    uses_announced_transitions: jax.Array
    is_greedy: jax.Array

    def initialize_carry(self, n: int) -> Beliefs:
        """Makes the initial beliefs: transitions are as in training, or uniform for a successor representation."""
        frequency = self._compute_frequencies(jnp.eye(2))
        transitions = jnp.broadcast_to(jnp.where(self.counts_transitions, 10.0 * frequency, 0.5), (n, 2, 2))
        options = jnp.broadcast_to(self.initial_value, (n, 2, 2))
        return Beliefs(options[:, 0], options, transitions, jnp.full(n, -1, jnp.int32), make_empty_trial(n))

    def _compute_frequencies(self, is_common: jax.Array) -> jax.Array:
        """Computes the frequency of each state after each first choice, given whether that transition is common."""
        return self.common_probability * is_common + (1.0 - self.common_probability) * (1.0 - is_common)

    def respond(self, key, carry: Beliefs, percept: Percept):
        """Learns from the last trial and from an announcement, then chooses."""
        last, trial = read_last_trial(percept, carry.trial, self.steps)
        carry = self._apply_announcement(self._learn_from_trial(carry, last), percept)._replace(trial=trial)
        best = carry.option_values.max(-1)
        transitions = carry.transitions / carry.transitions.sum(-1, keepdims=True)
        planned = (transitions * best[:, None]).sum(-1)
        values = self.weight * planned + (1.0 - self.weight) * carry.cached_values
        values = values + self.stay_bonus * jax.nn.one_hot(carry.last_choice, 2)
        values = select_stage_values(values, carry.option_values, trial, percept, self.steps)
        return carry, choose(key, jax.nn.log_softmax(self.beta * values))

    def _learn_from_trial(self, carry: Beliefs, trial: LastTrial) -> Beliefs:
        """Updates the beliefs of the lifetimes in which a trial has just ended."""
        has_ended = trial.has_ended.astype(jnp.float32)
        rows = jnp.arange(len(has_ended))
        first = jax.nn.one_hot(trial.first_choice, 2) * has_ended[:, None]
        state, second = jax.nn.one_hot(trial.state, 2), jax.nn.one_hot(trial.second_choice, 2)
        option = has_ended[:, None, None] * state[..., None] * second[:, None, :]
        option = jnp.where(self.shares_values, option.sum(-1, keepdims=True), option)
        state_values = carry.option_values[rows, trial.state]
        value = state_values[rows, trial.second_choice]
        target = jnp.where(self.is_greedy, state_values.max(-1), value)
        error = trial.payoff - value
        cached = move_towards(carry.cached_values, first, target, self.rate)
        cached = cached + self.decay * self.rate * first * error[:, None]
        options = move_towards(carry.option_values, option, trial.payoff, self.rate)
        counted_transitions = first[..., None] * state[:, None, :]
        learned_transitions = self.rate * first[..., None] * (state[:, None, :] - carry.transitions)
        transitions = carry.transitions + jnp.where(self.counts_transitions, counted_transitions, learned_transitions)
        last_choice = jnp.where(trial.has_ended, trial.first_choice, carry.last_choice)
        return Beliefs(cached, options, transitions, last_choice, carry.trial)

    def _apply_announcement(self, carry: Beliefs, percept: Percept) -> Beliefs:
        """Updates the beliefs with the announcement in a percept, if there is one (see `TwoStep`)."""
        is_announced = (percept.observation[:, 2] > 0)[:, None, None]
        options = jnp.where(is_announced, percept.observation[:, 4:8].reshape(-1, 2, 2), carry.option_values)
        common_state = jax.nn.one_hot((percept.observation[:, 3] < 0).astype(jnp.int32), 2)  # of first choice 0
        is_common = jnp.stack([common_state, 1.0 - common_state], 1)  # [N, first choice, state]
        transitions = ANNOUNCED_COUNT * self._compute_frequencies(is_common)
        transitions = jnp.where(is_announced & self.uses_announced_transitions, transitions, carry.transitions)
        return carry._replace(option_values=options, transitions=transitions)


def make_mixture(family: Family, **settings: float) -> Mixture:
    """Makes a `Mixture`, whose docstring explains the settings. The settings in DEFAULTS may be left out.

    Raises:
        MesascopeError: the family is not the two-step task.
    """
    task = require_two_step(family)
    settings = {**DEFAULTS, **settings, "shares_values": task.version != "daw"}
    arrays: Any = {k: jnp.asarray(v, bool if isinstance(v, bool) else jnp.float32) for k, v in settings.items()}
    return Mixture(steps=task.steps, common_probability=task.common_probability, **arrays)


def require_two_step(family: Family) -> TwoStep:
    """Returns the family if it is the two-step task.

    Raises:
        MesascopeError: the family is not the two-step task.
    """
    return require_family(family, TwoStep, "has no two stages", "Use --family two_step.")
