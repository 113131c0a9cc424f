"""Families that are not what most are: real actions, lifetimes that JAX cannot trace, trials of several steps."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Family, make_first_percept, make_next_percept
from mesascope.keys import derive_key


class Aim(Family):
    """A hidden point on the line: the pay-off of an action is minus its squared distance."""

    name: str
    choices: None
    horizon: int

    controls: ClassVar = {"learner": "uniform", "lookalike": "uniform", "still": "uniform"}

    def draw(self, key, n):
        return jax.random.normal(key, (n,))

    def begin(self, key, tasks):
        percept = make_first_percept(jnp.zeros((len(tasks), 0)))
        return jnp.zeros(len(tasks), jnp.int32), percept._replace(action=jnp.zeros(len(tasks)))

    def step(self, key, tasks, state, action):
        score = -jnp.square(action - tasks)
        feedback = score + 0.1 * jax.random.normal(key, action.shape)
        return state + 1, make_next_percept(jnp.zeros((len(action), 0)), action, feedback, state + 1), score

    def compute_latents(self, tasks, split):
        tasks = np.repeat(np.asarray(tasks)[:, None], self.horizon, 1)
        return {
            "target": tasks,
            "chance": -1 - tasks**2,
            "best": 0 * tasks,
            "worst": np.full_like(tasks, -np.inf),
            "fixed": -(tasks**2),
        }


class Untraced(Family):
    """Another family behind Python objects: the state is a list with one object per block."""

    inner: Family
    name: str
    choices: int
    horizon: int

    is_traceable: ClassVar = False
    steps = property(lambda self: self.inner.steps)

    def find_idle(self, state):
        idle = self.inner.find_idle(state[0].inside)
        return None if idle is None else np.asarray(idle)

    def draw(self, key, n):
        return self._drawn("fresh", key, n)

    def list_splits(self):
        return tuple(
            dataclasses.replace(split, draw=functools.partial(self._drawn, split.name))
            for split in self.inner.list_splits()
        )

    def _drawn(self, split, key, n):
        # the same tasks in whatever size, as blocks are drawn compiled
        return jax.tree.map(np.asarray, _drawn(self.inner, key, n, split))

    def begin(self, key, tasks):
        state, percept = jax.tree.map(np.asarray, self.inner.begin(derive_key(key), tasks))
        return [Held(state)], percept

    def step(self, key, tasks, state, action):
        assert isinstance(action, np.ndarray) and all(isinstance(x, np.ndarray) for x in jax.tree.leaves(tasks))
        (held,) = state
        new, percept, score = _stepped(self.inner, key, tasks, held.inside, action)
        over = action < 0  # who is idle stays as it was
        new = jax.tree.map(lambda old, x: np.where(over, old, x), held.inside, new)
        return [Held(new)], jax.tree.map(np.asarray, percept), np.asarray(score)

    def compute_latents(self, tasks, split):
        return self.inner.compute_latents(tasks, split)


class Held:
    """What JAX knows nothing of."""

    def __init__(self, inside):
        self.inside = inside


@eqx.filter_jit
def _drawn(family, key, n, split):
    return family.get_split(split).draw(key, n)


@eqx.filter_jit
def _stepped(family, key, tasks, state, action):
    return family.step(key, tasks, state, action)


class Rounds(Family):
    """Another family's trials as steps: `ends` [T] says after how many of `most` a trial is over, 0 for all.

    With ends all 1 it is the other family, each trial followed by steps that nobody lives; with ends all 0 it is the
    other family of T · S trials in rounds of S.
    """

    inner: Family
    name: str
    choices: int
    horizon: int
    most: int
    ends: tuple[int, ...]

    controls: ClassVar = {"learner": "uniform", "lookalike": "uniform", "still": "uniform"}
    steps = property(lambda self: self.most)

    def draw(self, key, n):
        return self.inner.draw(key, n)

    def begin(self, key, tasks):
        state, percept = self.inner.begin(key, tasks)
        still = jnp.zeros(len(percept.action), jnp.int32)
        return (state, still, still), percept._replace(step=still)

    def step(self, key, tasks, state, action):
        inside, trial, step = state
        inside, percept, score = self.inner.step(key, tasks, inside, action)
        last = jnp.where(jnp.asarray(self.ends)[trial] > 0, jnp.asarray(self.ends)[trial], self.most)
        over = step + 1 >= last
        trial, step = jnp.where(over, trial + 1, trial), jnp.where(over, 0, step + 1)
        return (inside, trial, step), percept._replace(trial=trial, step=step), score

    def find_idle(self, state):
        return (state[2] == 0) & (state[1] > 0) if any(self.ends) else None

    def compute_latents(self, tasks, split):
        known = self.inner.compute_latents(tasks, split)
        lived = np.concatenate([np.zeros(1, int), np.cumsum([e or self.most for e in self.ends])])
        return {
            k: np.stack([known[k][:, a:b].sum(1) for a, b in itertools.pairwise(lived)], 1)
            for k in ("chance", "best", "worst", "fixed")
        }


class Tagged(Family):
    """The feedback of every step is the task's number and, in its whole part, when it was paid; trials end as drawn."""

    name: str
    choices: int
    horizon: int

    steps = property(lambda self: 3)

    def draw(self, key, n):
        ends = jax.random.randint(derive_key(key, "ends"), (n, self.horizon), 1, 4)
        return {"tag": jax.random.uniform(key, (n,), maxval=0.5), "ends": ends}

    def begin(self, key, tasks):
        still = jnp.zeros(len(tasks["tag"]), jnp.int32)
        return {"trial": still, "step": still}, make_first_percept(still[:, None].astype(jnp.float32))

    def step(self, key, tasks, state, action):
        trial, step = state["trial"], state["step"]
        feedback = 1.0 + 3 * trial + step + tasks["tag"]
        over = step + 1 >= jnp.take_along_axis(tasks["ends"], jnp.minimum(trial, self.horizon - 1)[:, None], 1)[:, 0]
        trial, step = jnp.where(over, trial + 1, trial), jnp.where(over, 0, step + 1)
        percept = make_next_percept((trial + step)[:, None].astype(jnp.float32), action, feedback, trial)._replace(
            step=step
        )
        return {"trial": trial, "step": step}, percept, feedback + action

    def find_idle(self, state):
        return (state["step"] == 0) & (state["trial"] > 0)

    def compute_latents(self, tasks, split):
        ends = np.asarray(tasks["ends"])
        zero = np.zeros(ends.shape)
        return {
            "ends": ends,
            "tag": np.asarray(tasks["tag"]),
            "chance": zero,
            "best": zero + 99,
            "worst": zero,
            "fixed": zero,
        }
