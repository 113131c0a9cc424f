"""A small Markov decision process with hidden transitions and pay-offs, whose episodes begin in state 0.

Duan et al. (2016, arXiv 1611.02779), section 3.2: 10 states, 5 actions, transitions from a flat Dirichlet, mean
pay-offs from N(1, 1), pay-offs with variance 1 around their mean, episodes of 10 steps, and n episodes on the same
task. An episode is a trial, and an action is a step; after the last step of an episode the state is 0 again.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.configured import Percept, Split, first_percept, keep_settings, next_percept
from mesascope.contracts.family import Configured, draw_bank, pick, reference_roles
from mesascope.keys import address
from mesascope.worlds.mdp.episodes import evaluate_policy, find_blind_policy, find_value

MEAN = 1.0  # the mean of the mean pay-offs
LOW_SHIFT = -2.0  # added to mean pay-offs on the low split
SHARP_CONCENTRATION = 0.1  # the Dirichlet's concentration on the split with nearly certain transitions
DRIFT_CORRELATION = 0.8  # the autocorrelation of mean pay-offs from one episode to the next on the drifting split


class Tasks(NamedTuple):
    """N Markov decision processes.

    Attributes:
        moves: [N, S, A, S'] transition probabilities.
        pays: [N, T, S, A] mean pay-offs on every trial.
        late: [N] the first trial on which the order of the actions is reversed; T or more if it never is.
        inverted: [N] 1 if feedback is reflected about the mean of all pay-offs, else 0.
    """

    moves: jax.Array
    pays: jax.Array
    late: jax.Array
    inverted: jax.Array


class State(NamedTuple):
    """The state of the process, the trial and its step, [N] each."""

    place: jax.Array
    trial: jax.Array
    step: jax.Array


class TabularMDP(Configured):
    """Episodes in a Markov decision process; see `family` for the settings.

    The observation [N, S] is the present state, one-hot. The score of a step is the mean pay-off of the action in the
    present state. A bank consists of moves [M, S, A, S'] and mean pay-offs [M, S, A].
    """

    states: int
    length: int

    controls: ClassVar = {"learner": "psrl", "lookalike": "two_loss_reflex", "still": "uniform"}
    # the exact optimum cannot be computed, so the strongest reference is the best procedure known
    references: ClassVar = reference_roles("psrl", "psrl:memory=2", "mdp_locator", strongest="beb")

    @property
    def steps(self) -> int:
        """The number of steps in an episode."""
        return self.length

    def splits(self) -> tuple[Split, ...]:
        """The splits: seen, fresh, and those that change pay-offs, transitions, actions, feedback or the horizon."""
        split, half = self.varied, self.horizon // 2
        return (
            *(() if self.bank_tasks is None else (split("seen", seen=True),)),
            split("fresh"),
            split("shifted:low", pays=lambda pays: pays + LOW_SHIFT),
            split("shifted:sharp", concentration=SHARP_CONCENTRATION),
            split("exchanged:actions", changes_at=half, exchanged_at=half),
            split("restructured:drift", drifts=True, drifting=True),
            # an action has the same mean pay-off in every state
            split("restructured:alike", pays=lambda pays: jnp.broadcast_to(pays[:, :1], pays.shape)),
            split("horizon:longer", counted=False, trials=5 * self.horizon),
            split("inverted:feedback", counted=False, inverted=1.0),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        seen: bool = False,
        concentration: float = 1.0,
        pays: Callable[[jax.Array], jax.Array] = lambda pays: pays,
        drifts: bool = False,
        exchanged_at: int | None = None,
        trials: int = 0,
        inverted: float = 0.0,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key for all draws.
            n: the number of tasks.
            seen: whether the tasks come from the bank.
            concentration: the concentration of the transitions' Dirichlet prior.
            pays: a function applied to the mean pay-offs [n, S, K].
            drifts: whether the mean pay-offs drift from trial to trial.
            exchanged_at: the first trial on which the order of the actions is reversed; None if it never is.
            trials: T, the number of trials; 0 for the family's horizon.
            inverted: 1 if feedback is reflected about the mean of all pay-offs, else 0.
        """
        trials, shape = trials or self.horizon, (n, self.states, self.choices)
        if seen:
            moves, means = pick(address(key, "which"), self.bank_tasks, n)
        else:
            moves, means = _draw_processes(key, shape, concentration)
        means = pays(means)
        path = jnp.broadcast_to(means[:, None], (n, trials, *shape[1:]))
        if drifts:
            path = _draw_drift(address(key, "drift"), means, trials)
        exchanged_from = trials if exchanged_at is None else exchanged_at
        return Tasks(moves, path, jnp.full(n, exchanged_from), jnp.full(n, inverted))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task, in state 0."""
        zero = jnp.zeros(len(tasks.late), jnp.int32)
        return State(zero, zero, zero), first_percept(jax.nn.one_hot(zero, self.states))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """Takes one action in each lifetime."""
        rows, (place, trial, step) = jnp.arange(len(action)), state
        actual = jnp.where(trial >= tasks.late, self.choices - 1 - action, action)
        score = tasks.pays[rows, trial, place, actual]
        paid = score + jax.random.normal(address(key, "pay"), score.shape)
        feedback = jnp.where(tasks.inverted > 0, 2 * MEAN - paid, paid)
        cumulative = jnp.cumsum(tasks.moves[rows, place, actual], -1)
        draw = jax.random.uniform(address(key, "move"), score.shape)[:, None] * cumulative[:, -1:]
        place = jnp.minimum((draw >= cumulative).sum(-1), self.states - 1).astype(jnp.int32)
        ends = step + 1 == self.length
        place, step = jnp.where(ends, 0, place), jnp.where(ends, 0, step + 1)
        trial = jnp.where(ends, trial + 1, trial)
        percept = next_percept(jax.nn.one_hot(place, self.states), action, feedback, trial, step)
        return State(place, trial, step), percept, score

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """The percept with its feedback reflected about the mean of all pay-offs."""
        return percept._replace(feedback=2 * MEAN - percept.feedback)

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """The latents chance, best, worst and fixed, each [N, T]: expected pay-offs of an episode, computed exactly.

        The pay-off of a single episode varies around its expectation and may exceed 'best'. On the seen split 'fixed'
        is the value of the `blind_policy` of the bank. On other splits all policies that cannot adapt have the same
        mean value, so 'fixed' is that of the uniform policy.
        """
        moves, pays = np.asarray(tasks.moves, float), np.asarray(tasks.pays, float)
        stationary = split != "restructured:drift"
        pays = pays[:, :1] if stationary else pays
        n, trials = pays.shape[:2]
        by_trial = np.repeat(moves, trials, 0), pays.reshape(n * trials, *pays.shape[2:])
        values = {p: find_value(*by_trial, self.length, p).reshape(n, trials) for p in ("even", "best", "worst")}
        values["fixed"] = values["even"]
        if split == "seen":
            moves, pays = (np.asarray(x, float) for x in self.bank_tasks)
            values["fixed"] = evaluate_policy(*by_trial, find_blind_policy(moves, pays, self.length))[:, None]
        shape = (n, self.split(split).trials)
        names = {"even": "chance"}
        return {names.get(k, k): np.ascontiguousarray(np.broadcast_to(v, shape)) for k, v in values.items()}


def _draw_processes(key: jax.Array, shape: tuple[int, ...], concentration: float) -> tuple[jax.Array, jax.Array]:
    """Draws transition probabilities [..., S, A, S'] and mean pay-offs [..., S, A]."""
    states = shape[-2]
    if concentration == 1.0:
        exponentials = jax.random.exponential(address(key, "moves"), (*shape, states))
    else:
        exponentials = jax.random.gamma(address(key, "moves"), concentration, (*shape, states)) + 1e-30
    return exponentials / exponentials.sum(-1, keepdims=True), MEAN + jax.random.normal(address(key, "pays"), shape)


def _draw_drift(key: jax.Array, pays: jax.Array, trials: int) -> jax.Array:
    """[N, T, S, A] mean pay-offs that follow an autoregressive process with stationary distribution N(1, 1)."""
    draws = jax.random.normal(key, (trials - 1, *pays.shape)) * np.sqrt(1 - DRIFT_CORRELATION**2)

    def drift(means, noise):
        means = MEAN + DRIFT_CORRELATION * (means - MEAN) + noise
        return means, means

    later_pays = jax.lax.scan(drift, pays, draws)[1]
    return jnp.moveaxis(jnp.concatenate([pays[None], later_pays]), 0, 1)


@keep_settings(states=(1, 1000), actions=(2, 1000), steps=(2, 10_000), trials=(2, 100_000), bank=(0, 1_000_000))
def family(
    states: int = 10, actions: int = 5, steps: int = 10, trials: int = 10, bank: int = 0, bank_seed: int = 0
) -> TabularMDP:
    """A Markov decision process with hidden transitions and pay-offs, whose episodes begin in state 0.

    Args:
        states: the number of states, at least 1.
        actions: K, the number of actions, at least 2.
        steps: S, the number of steps in an episode.
        trials: T, the number of episodes in a lifetime.
        bank: M, the number of training tasks; 0 for unlimited.
        bank_seed: the seed that the bank is drawn from.
    """
    unlimited = TabularMDP(states, length=steps, choices=actions, horizon=trials)
    bank_tasks = draw_bank(
        lambda key: _draw_processes(key, (bank, states, actions), 1.0),
        bank,
        bank_seed,
        tell=lambda tasks: np.asarray(tasks[1]).argmax(-1),
        what="different tasks",
    )
    return dataclasses.replace(unlimited, bank_tasks=bank_tasks)
