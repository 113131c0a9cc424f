"""A small Markov decision process with hidden transitions and pay-offs, lived in episodes that begin in state 0.

Duan et al. (2016, arXiv 1611.02779), section 3.2: 10 states, 5 actions, transitions from a flat Dirichlet, mean
pay-offs from N(1, 1), a pay-off scattering around its mean with variance 1, episodes of 10 steps, and n of them on the
same task. An episode is a trial and an action a step; after the last step of an episode the state is 0 again.
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
from mesascope.worlds.mdp.episodes import blind_policy, optimal_value, policy_value

MEAN = 1.0  # of the mean pay-offs
LOW = -2.0  # by how much they are lower where they are low
SHARP = 0.1  # the Dirichlet's concentration where transitions are nearly certain
KEEPS = 0.8  # how much of a mean pay-off is left after an episode where it drifts


class Tasks(NamedTuple):
    """moves [N, S, A, S'] probabilities; pays [N, T, S, A] mean pay-offs on every trial; late [N], the trial from which
    the actions mean each other, the last the first's and so on (T and more for never); inverted [N], 1 for feedback
    mirrored at the mean of all pay-offs.
    """

    moves: jax.Array
    pays: jax.Array
    late: jax.Array
    inverted: jax.Array


class State(NamedTuple):
    """The state of the process, the trial and the step in it, each [N]."""

    place: jax.Array
    trial: jax.Array
    step: jax.Array


class TabularMDP(Configured):
    """A Markov decision process lived in episodes; see `family` for the settings.

    The observation [N, S] is 1 at the present state. The score of a step is the mean pay-off of the action in the
    present state. A bank is moves [M, S, A, S'] and mean pay-offs [M, S, A].
    """

    states: int
    length: int

    controls: ClassVar = {"learner": "psrl", "lookalike": "two_loss_reflex", "still": "uniform"}
    # no exact optimum is to be had, the strongest is the best that is known
    references: ClassVar = reference_roles("psrl", "psrl:memory=2", "mdp_locator", strongest="beb")

    @property
    def steps(self) -> int:
        """Steps of an episode."""
        return self.length

    def splits(self) -> tuple[Split, ...]:
        """The distributions that it is tested on."""
        split, half = self.varied, self.horizon // 2
        return (
            *(() if self.bank_tasks is None else (split("seen", seen=True),)),
            split("fresh"),
            split("shifted:low", pays=lambda pays: pays + LOW),
            split("shifted:sharp", concentration=SHARP),
            split("exchanged:actions", changes_at=half, exchanged_at=half),
            split("restructured:drift", drifts=True),
            # what an action pays is the same in every state
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
            key: of all draws.
            n: how many.
            seen: whether they are of the bank.
            concentration: of the transitions' Dirichlet prior.
            pays: what becomes of the pay-offs [n, S, K].
            drifts: whether pay-offs drift.
            exchanged_at: the episode from which actions are exchanged.
            trials: T, of the horizon where 0.
            inverted: 1 for inverted feedback.
        """
        trials, shape = trials or self.horizon, (n, self.states, self.choices)
        if seen:
            moves, paid = pick(address(key, "which"), self.bank_tasks, n)
        else:
            moves, paid = _drawn(key, shape, concentration)
        paid = pays(paid)
        path = jnp.broadcast_to(paid[:, None], (n, trials, *shape[1:]))
        if drifts:
            path = _drifting(address(key, "drift"), paid, trials)
        late = trials if exchanged_at is None else exchanged_at
        return Tasks(moves, path, jnp.full(n, late), jnp.full(n, inverted))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task, in state 0."""
        still = jnp.zeros(len(tasks.late), jnp.int32)
        return State(still, still, still), first_percept(jax.nn.one_hot(still, self.states))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """Acts once in each lifetime."""
        rows, (place, trial, step) = jnp.arange(len(action)), state
        meant = jnp.where(trial >= tasks.late, self.choices - 1 - action, action)
        score = tasks.pays[rows, trial, place, meant]
        paid = score + jax.random.normal(address(key, "pay"), score.shape)
        feedback = jnp.where(tasks.inverted > 0, 2 * MEAN - paid, paid)
        reached = jnp.cumsum(tasks.moves[rows, place, meant], -1)
        where = jax.random.uniform(address(key, "move"), score.shape)[:, None] * reached[:, -1:]
        place = jnp.minimum((where >= reached).sum(-1), self.states - 1).astype(jnp.int32)
        over = step + 1 == self.length
        place, step = jnp.where(over, 0, place), jnp.where(over, 0, step + 1)
        trial = jnp.where(over, trial + 1, trial)
        percept = next_percept(jax.nn.one_hot(place, self.states), action, feedback, trial, step)
        return State(place, trial, step), percept, score

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """The last feedback mirrored at the mean of all pay-offs."""
        return percept._replace(feedback=2 * MEAN - percept.feedback)

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Chance, best, worst and fixed [N, T], the expected pay-off of an episode by exact dynamic programming.

        What is gained in an episode scatters around its expectation, above 'best' too. On the seen split 'fixed' is a
        policy found by improving one step after the other, elsewhere any policy: all are worth the same on average,
        and an even one is as good.
        """
        moves, pays = np.asarray(tasks.moves, float), np.asarray(tasks.pays, float)
        still = split != "restructured:drift"
        pays = pays[:, :1] if still else pays
        n, trials = pays.shape[:2]
        each = np.repeat(moves, trials, 0), pays.reshape(n * trials, *pays.shape[2:])
        known = {
            p: optimal_value(*each, self.length, p).reshape(n, trials) for p in ("even", "best", "worst")
        }
        known["fixed"] = known["even"]
        if split == "seen":
            moves, pays = (np.asarray(x, float) for x in self.bank_tasks)
            known["fixed"] = policy_value(*each, blind_policy(moves, pays, self.length))[:, None]
        whole = (n, self.split(split).trials)
        names = {"even": "chance"}
        return {names.get(k, k): np.ascontiguousarray(np.broadcast_to(v, whole)) for k, v in known.items()}


def _drawn(key: jax.Array, shape: tuple[int, ...], concentration: float) -> tuple[jax.Array, jax.Array]:
    """moves [..., S, A, S'] and pays [..., S, A]."""
    states = shape[-2]
    if concentration == 1.0:
        raw = jax.random.exponential(address(key, "moves"), (*shape, states))
    else:
        raw = jax.random.gamma(address(key, "moves"), concentration, (*shape, states)) + 1e-30
    return raw / raw.sum(-1, keepdims=True), MEAN + jax.random.normal(address(key, "pays"), shape)


def _drifting(key: jax.Array, pays: jax.Array, trials: int) -> jax.Array:
    """[N, T, S, A] pay-offs that go back to the mean and are pushed away again, so that they stay N(1, 1)."""
    pushes = jax.random.normal(key, (trials - 1, *pays.shape)) * np.sqrt(1 - KEEPS**2)

    def push(now, pushed):
        now = MEAN + KEEPS * (now - MEAN) + pushed
        return now, now

    later = jax.lax.scan(push, pays, pushes)[1]
    return jnp.moveaxis(jnp.concatenate([pays[None], later]), 0, 1)


@keep_settings(
    states=(1, 1000), actions=(2, 1000), steps=(2, 10_000), trials=(2, 100_000), bank=(0, 1_000_000)
)
def family(
    states: int = 10, actions: int = 5, steps: int = 10, trials: int = 10, bank: int = 0, bank_seed: int = 0
) -> TabularMDP:
    """A Markov decision process of hidden transitions and pay-offs, lived in episodes that begin in state 0.

    Args:
        states: how many, at least 1.
        actions: K, at least 2.
        steps: S, the steps of an episode.
        trials: T, the episodes of a lifetime.
        bank: M, the number of training tasks; 0 for unlimited.
        bank_seed: the seed that the bank is drawn from.
    """
    plain = TabularMDP(states, length=steps, choices=actions, horizon=trials)
    drawn = draw_bank(
        lambda key: _drawn(key, (bank, states, actions), 1.0),
        bank,
        bank_seed,
        tell=lambda tasks: np.asarray(tasks[1]).argmax(-1),
        what="different tasks",
    )
    return dataclasses.replace(plain, bank_tasks=drawn)
