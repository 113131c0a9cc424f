"""A small Markov decision process with hidden transitions and pay-offs, whose episodes begin in state 0.

The defaults are those of Duan et al. (2016, arXiv 1611.02779), section 3.2: 10 states, 5 actions, transitions from a
flat Dirichlet, mean pay-offs from N(1, 1), pay-offs with variance 1 around their mean, episodes of 10 steps, and
10 episodes on the same task. An episode is a trial, and an action is a step. After the last step of an episode, the
next episode begins in state 0.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Percept, Split, keep_settings, make_first_percept, make_next_percept
from mesascope.contracts.bank_draws import draw_bank, draw_from_bank
from mesascope.contracts.family import ConfiguredFamily, make_reference_roles
from mesascope.keys import derive_key
from mesascope.worlds.mdp.episodes import (
    compute_action_values,
    compute_episode_value,
    evaluate_policy,
    find_fixed_policy,
)

MEAN_PAYOFF = 1.0  # the mean of the mean pay-offs
LOW_SHIFT = -2.0  # what is added to all mean pay-offs on the low split
SHARP_CONCENTRATION = 0.1  # the concentration of the Dirichlet on the split with nearly certain transitions
DRIFT_CORRELATION = 0.8  # the autocorrelation of mean pay-offs from one episode to the next on the drifting split


class Tasks(NamedTuple):
    """N Markov decision processes.

    Attributes:
        transitions: [N, S, A, S'] the probability of each next state S' after each action A in each state S.
        payoffs: [N, T, S, A] the mean pay-off of each action in each state on every trial.
        exchange_trial: [N] the first trial on which the order of the actions is reversed; T or more if it never is.
        inverts_feedback: [N] 1 if feedback is reflected about MEAN_PAYOFF, else 0.
    """

    transitions: jax.Array
    payoffs: jax.Array
    exchange_trial: jax.Array
    inverts_feedback: jax.Array


class State(NamedTuple):
    """The current state of the process, the trial and its step, [N] each."""

    current_state: jax.Array
    trial: jax.Array
    step: jax.Array


class TabularMDP(ConfiguredFamily):
    """Episodes in a Markov decision process; see `family` for the settings.

    The observation [N, S] is the present state, one-hot. The score of a step is the mean pay-off of the action in the
    present state. A bank consists of transition probabilities [M, S, A, S'] and mean pay-offs [M, S, A].
    """

    states: int
    episode_steps: int

    controls: ClassVar = {"learner": "psrl", "lookalike": "two_loss_reflex", "still": "uniform"}
    # the exact optimum cannot be computed, so the strongest reference is the best known procedure
    references: ClassVar = make_reference_roles("psrl", "psrl:memory=2", "mdp_locator", strongest="beb")

    @property
    def steps(self) -> int:
        """The number of steps in an episode, which is a trial."""
        return self.episode_steps

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen (with a bank), fresh, other pay-offs, transitions, actions, feedback and horizon."""
        split, half = self.make_split, self.horizon // 2
        return (
            *(() if self.bank_tasks is None else (split("seen", is_seen=True),)),
            split("fresh"),
            split("shifted:low", change_payoffs=lambda payoffs: payoffs + LOW_SHIFT),
            split("shifted:sharp", concentration=SHARP_CONCENTRATION),
            split("exchanged:actions", change_trial=half, exchange_trial=half),
            split("restructured:drift", has_drift=True, is_drifting=True),
            # an action has the same mean pay-off in every state
            split("restructured:alike", change_payoffs=lambda payoffs: jnp.broadcast_to(payoffs[:, :1], payoffs.shape)),
            split("horizon:longer", is_counted=False, trials=5 * self.horizon),
            split("inverted:feedback", is_counted=False, inverts_feedback=1.0),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        is_seen: bool = False,
        concentration: float = 1.0,
        change_payoffs: Callable[[jax.Array], jax.Array] = lambda payoffs: payoffs,
        has_drift: bool = False,
        exchange_trial: int | None = None,
        trials: int = 0,
        inverts_feedback: float = 0.0,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key for all draws.
            n: the number of tasks.
            is_seen: whether the tasks come from the bank.
            concentration: the concentration of the Dirichlet prior of the transitions.
            change_payoffs: a function of the mean pay-offs [n, S, A] that returns other mean pay-offs of this shape.
            has_drift: whether the mean pay-offs drift from trial to trial.
            exchange_trial: the first trial on which the order of the actions is reversed; None if it never is.
            trials: T, the number of trials; 0 for the family's horizon.
            inverts_feedback: 1 if feedback is reflected about MEAN_PAYOFF, else 0.
        """
        trials, shape = trials or self.horizon, (n, self.states, self.choices)
        if is_seen:
            transitions, means = draw_from_bank(derive_key(key, "which"), self.bank_tasks, n)
        else:
            transitions, means = _draw_mdps(key, shape, concentration)
        means = change_payoffs(means)
        payoffs_over_trials = jnp.broadcast_to(means[:, None], (n, trials, *shape[1:]))
        if has_drift:
            payoffs_over_trials = _draw_drifting_payoffs(derive_key(key, "drift"), means, trials)
        exchanged_from = trials if exchange_trial is None else exchange_trial
        return Tasks(transitions, payoffs_over_trials, jnp.full(n, exchanged_from), jnp.full(n, inverts_feedback))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task, in state 0."""
        zero = jnp.zeros(len(tasks.exchange_trial), jnp.int32)
        return State(zero, zero, zero), make_first_percept(jax.nn.one_hot(zero, self.states))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """Takes one action in each lifetime; after the last step of an episode, the next one begins in state 0."""
        rows, (current_state, trial, step) = jnp.arange(len(action)), state
        executed = jnp.where(trial >= tasks.exchange_trial, self.choices - 1 - action, action)
        score = tasks.payoffs[rows, trial, current_state, executed]
        noisy_payoff = score + jax.random.normal(derive_key(key, "pay"), score.shape)
        feedback = jnp.where(tasks.inverts_feedback > 0, 2 * MEAN_PAYOFF - noisy_payoff, noisy_payoff)
        cumulative = jnp.cumsum(tasks.transitions[rows, current_state, executed], -1)
        draw = jax.random.uniform(derive_key(key, "move"), score.shape)[:, None] * cumulative[:, -1:]
        current_state = jnp.minimum((draw >= cumulative).sum(-1), self.states - 1).astype(jnp.int32)
        is_last_step = step + 1 == self.episode_steps
        current_state, step = jnp.where(is_last_step, 0, current_state), jnp.where(is_last_step, 0, step + 1)
        trial = jnp.where(is_last_step, trial + 1, trial)
        percept = make_next_percept(jax.nn.one_hot(current_state, self.states), action, feedback, trial, step)
        return State(current_state, trial, step), percept, score

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Returns the percept with its feedback reflected about MEAN_PAYOFF."""
        return percept._replace(feedback=2 * MEAN_PAYOFF - percept.feedback)

    def compute_action_values(
        self, tasks: Tasks, split: str, observation: np.ndarray, action: np.ndarray
    ) -> np.ndarray:
        """Computes the worth [N, T, M] of first actions on each of M tasks, given the observed states [N, T, S]."""
        payoffs = np.asarray(tasks.payoffs, float)  # [M, T, S, A]
        n_tasks, trials = payoffs.shape[:2]
        transitions = np.repeat(np.asarray(tasks.transitions, float), trials, 0)
        values = compute_action_values(transitions, payoffs.reshape(-1, *payoffs.shape[2:]), self.episode_steps)
        values = (values - values.mean(-1, keepdims=True)).reshape(payoffs.shape)
        m, t = np.arange(n_tasks), np.arange(trials)[:, None]
        is_exchanged = t >= np.asarray(tasks.exchange_trial)
        action = action[..., None] if action.ndim == 2 else action
        executed = np.where(is_exchanged, self.choices - 1 - action, action)
        return values[m, t, observation.argmax(-1)[..., None], executed]

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Computes the latents chance, best, worst and fixed, each [N, T]: exact expected pay-offs of an episode.

        The pay-off of a single episode varies around its expectation and may exceed 'best'. On the seen split, 'fixed'
        is the value of the policy that `find_fixed_policy` finds for the bank. On other splits, all policies that
        cannot adapt have the same mean value, so 'fixed' is the value of the uniform policy.
        """
        transitions, payoffs = np.asarray(tasks.transitions, float), np.asarray(tasks.payoffs, float)
        is_stationary = split != "restructured:drift"
        payoffs = payoffs[:, :1] if is_stationary else payoffs
        n, trials = payoffs.shape[:2]
        by_trial = np.repeat(transitions, trials, 0), payoffs.reshape(n * trials, *payoffs.shape[2:])
        values = {
            p: compute_episode_value(*by_trial, self.episode_steps, p).reshape(n, trials)
            for p in ("chance", "best", "worst")
        }
        values["fixed"] = values["chance"]
        if split == "seen":
            transitions, payoffs = (np.asarray(x, float) for x in self.bank_tasks)
            values["fixed"] = evaluate_policy(*by_trial, find_fixed_policy(transitions, payoffs, self.episode_steps))[
                :, None
            ]
        shape = (n, self.get_split(split).trial_count)
        return {k: np.ascontiguousarray(np.broadcast_to(v, shape)) for k, v in values.items()}


def _draw_mdps(key: jax.Array, shape: tuple[int, ...], concentration: float) -> tuple[jax.Array, jax.Array]:
    """Draws transition probabilities [..., S, A, S'] and mean pay-offs [..., S, A]."""
    states = shape[-2]
    if concentration == 1.0:
        exponentials = jax.random.exponential(derive_key(key, "moves"), (*shape, states))
    else:
        exponentials = jax.random.gamma(derive_key(key, "moves"), concentration, (*shape, states)) + 1e-30
    payoffs = MEAN_PAYOFF + jax.random.normal(derive_key(key, "pays"), shape)
    return exponentials / exponentials.sum(-1, keepdims=True), payoffs


def _draw_drifting_payoffs(key: jax.Array, payoffs: jax.Array, trial_count: int) -> jax.Array:
    """Draws mean pay-offs [N, T, S, A] that change over the trials: an autoregressive process around MEAN_PAYOFF."""
    draws = jax.random.normal(key, (trial_count - 1, *payoffs.shape)) * np.sqrt(1 - DRIFT_CORRELATION**2)

    def add_drift(means, noise):
        means = MEAN_PAYOFF + DRIFT_CORRELATION * (means - MEAN_PAYOFF) + noise
        return means, means

    later_payoffs = jax.lax.scan(add_drift, payoffs, draws)[1]
    return jnp.moveaxis(jnp.concatenate([payoffs[None], later_payoffs]), 0, 1)


@keep_settings(states=(1, 1000), actions=(2, 1000), steps=(2, 10_000), trials=(2, 100_000), bank=(0, 1_000_000))
def family(
    states: int = 10, actions: int = 5, steps: int = 10, trials: int = 10, bank: int = 0, bank_seed: int = 0
) -> TabularMDP:
    """A Markov decision process with hidden transitions and pay-offs, whose episodes begin in state 0.

    Args:
        states: S, the number of states, at least 1.
        actions: K, the number of actions, at least 2.
        steps: the number of steps in an episode, at least 2.
        trials: T, the number of episodes in a lifetime.
        bank: M, the number of training tasks; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    unlimited = TabularMDP(states, episode_steps=steps, choices=actions, horizon=trials)
    bank_tasks = draw_bank(
        lambda key: _draw_mdps(key, (bank, states, actions), 1.0),
        bank,
        bank_seed,
        find_property=lambda tasks: np.asarray(tasks[1]).argmax(-1),
        description="different tasks",
    )
    return dataclasses.replace(unlimited, bank_tasks=bank_tasks)
