"""A small Markov decision process with hidden transitions and pay-offs, lived in episodes that begin in state 0.

Duan et al. (2016, arXiv 1611.02779), section 3.2: 10 states, 5 actions, transitions from a flat Dirichlet, mean
pay-offs from N(1, 1), a pay-off scattering around its mean with variance 1, episodes of 10 steps, and n of them on the
same task. An episode is a trial and an action a step; after the last step of an episode the state is 0 again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept, born
from mesascope.contracts.settings import keep_settings, named, within
from mesascope.contracts.split import Draw, Split
from mesascope.errors import MesascopeError
from mesascope.keys import address
from mesascope.worlds.mdp.episodes import blind, followed, values

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


class TabularMDP(Family):
    """A Markov decision process lived in episodes; see `family` for the settings.

    The observation [N, S] is 1 at the present state. The score of a step is the mean pay-off of the action in the
    present state.
    """

    name: str
    choices: int
    horizon: int
    states: int
    length: int
    bank_moves: jax.Array | None  # [M, S, A, S']
    bank_pays: jax.Array | None  # [M, S, A]

    controls: ClassVar = {"learner": "psrl", "lookalike": "two_loss_reflex", "still": "uniform"}

    @property
    def steps(self) -> int:
        """Steps of an episode."""
        return self.length

    @property
    def references(self) -> dict[str, str]:
        """Reference procedures by role; no exact optimum is to be had, the strongest is the best that is known."""
        return {
            "learner": "psrl",
            "discounting": "psrl:memory=2",
            "locator": "mdp_locator",
            "strongest": "beb",
            "learner against": "psrl:minimise=True",
            "discounting against": "psrl:memory=2,minimise=True",
            "locator against": "mdp_locator:minimise=True",
        }

    def draw(self, key: jax.Array, n: int) -> Tasks:
        """Draws n fresh tasks."""
        return self._tasks(key, n)

    def splits(self) -> tuple[Split, ...]:
        """The distributions that it is tested on."""
        trials, half = self.horizon, self.horizon // 2

        def drawn(**change: Any) -> Draw:
            return functools.partial(self._tasks, **change)

        return (
            *(() if self.bank_moves is None else (Split("seen", drawn(seen=True), trials),)),
            Split("fresh", self.draw, trials),
            Split("shifted:low", drawn(pays=lambda pays: pays + LOW), trials),
            Split("shifted:sharp", drawn(concentration=SHARP), trials),
            Split("exchanged:actions", drawn(exchanged_at=half), trials, half),
            Split("restructured:drift", drawn(drifts=True), trials),
            # what an action pays is the same in every state
            Split("restructured:alike", drawn(pays=lambda p: jnp.broadcast_to(p[:, :1], p.shape)), trials),
            Split("horizon:longer", drawn(trials=5 * trials), 5 * trials, counted=False),
            Split("inverted:feedback", drawn(inverted=1.0), trials, counted=False),
        )

    def _tasks(
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
            assert self.bank_moves is not None and self.bank_pays is not None
            which = jax.random.randint(address(key, "which"), (n,), 0, len(self.bank_moves))
            moves, paid = self.bank_moves[which], self.bank_pays[which]
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
        return State(still, still, still), born(jax.nn.one_hot(still, self.states))

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
        percept = Percept(
            jax.nn.one_hot(place, self.states), action, feedback, trial, step, jnp.zeros(len(action), bool)
        )
        return State(place, trial, step), percept, score

    def flipped(self, percept: Percept) -> Percept:
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
        known = {p: values(*each, self.length, p).reshape(n, trials) for p in ("even", "best", "worst")}
        known["fixed"] = known["even"]
        if split == "seen":
            assert self.bank_moves is not None and self.bank_pays is not None
            bank = np.asarray(self.bank_moves, float), np.asarray(self.bank_pays, float)
            known["fixed"] = followed(*each, blind(*bank, self.length))[:, None]
        whole = (n, self.split(split).trials)
        told = {"even": "chance"}
        return {told.get(k, k): np.ascontiguousarray(np.broadcast_to(v, whole)) for k, v in known.items()}


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


def _bank(seed: int, size: int, shape: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """M tasks, at least two with different best first acts where there are several."""
    for attempt in range(1000):
        moves, pays = _drawn(address(jax.random.key(seed), "bank", attempt), (size, *shape), 1.0)
        if size == 1 or len(np.unique(np.asarray(pays).argmax(-1), axis=0)) > 1:
            return moves, pays
    raise MesascopeError(f"No bank of {size} different tasks in 1,000 draws.", "Take a larger bank.")


@keep_settings
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
    within(1, 1000, states=states)
    within(2, 1000, actions=actions)
    within(2, 10_000, steps=steps)
    within(2, 100_000, trials=trials)
    within(0, 1_000_000, bank=bank)
    within(0, 2**32 - 1, bank_seed=bank_seed)
    given = {"states": states, "actions": actions, "steps": steps, "trials": trials}
    moves, pays = _bank(bank_seed, bank, (states, actions)) if bank else (None, None)
    return TabularMDP(
        name=named(family, **given, bank=bank, bank_seed=bank_seed),
        choices=actions,
        horizon=trials,
        states=states,
        length=steps,
        bank_moves=moves,
        bank_pays=pays,
    )
