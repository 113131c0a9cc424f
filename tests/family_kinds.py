"""Families that are not what most are: real actions, lifetimes that JAX cannot trace, trials of several steps."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.families import Family
from mesascope.families._common import born, told
from mesascope.keys import address


class Aim(Family):
    """A hidden point on the line: the pay-off of an action is minus its squared distance."""

    name: str
    choices: None
    horizon: int

    controls: ClassVar = {"learner": "uniform", "lookalike": "uniform", "still": "uniform"}

    references = property(lambda self: {})
    bank = property(lambda self: None)

    def rings(self):
        return ("fresh",)

    def banked(self, bank):
        return self

    def trials(self, ring):
        return self.horizon

    def draw(self, key, n, ring):
        return jax.random.normal(key, (n,))

    def begin(self, key, tasks):
        percept = born(jnp.zeros((len(tasks), 0)))
        return jnp.zeros(len(tasks), jnp.int32), percept._replace(action=jnp.zeros(len(tasks)))

    def step(self, key, tasks, state, action):
        score = -jnp.square(action - tasks)
        feedback = score + 0.1 * jax.random.normal(key, action.shape)
        return state + 1, told(jnp.zeros((len(action), 0)), action, feedback, state + 1), score

    def latents(self, tasks, ring):
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

    traceable: ClassVar = False
    controls: ClassVar = {}
    references = property(lambda self: {})
    bank = property(lambda self: None)
    steps = property(lambda self: self.inner.steps)

    def rings(self):
        return self.inner.rings()

    def banked(self, bank):
        return self

    def trials(self, ring):
        return self.inner.trials(ring)

    def changes(self, ring):
        return self.inner.changes(ring)

    def draw(self, key, n, ring):
        # the same tasks in whatever size, as blocks are drawn compiled
        return jax.tree.map(np.asarray, _drawn(self.inner, key, n, ring))

    def begin(self, key, tasks):
        state, percept = jax.tree.map(np.asarray, self.inner.begin(address(key), tasks))
        return [Held(state)], percept

    def step(self, key, tasks, state, action):
        assert isinstance(action, np.ndarray) and all(
            isinstance(x, np.ndarray) for x in jax.tree.leaves(tasks)
        )
        (held,) = state
        new, percept, score = _stepped(self.inner, key, tasks, held.inside, action)
        return [Held(new)], jax.tree.map(np.asarray, percept), np.asarray(score)

    def latents(self, tasks, ring):
        return self.inner.latents(tasks, ring)


class Held:
    """What JAX knows nothing of."""

    def __init__(self, inside):
        self.inside = inside


@eqx.filter_jit
def _drawn(family, key, n, ring):
    return family.draw(key, n, ring)


@eqx.filter_jit
def _stepped(family, key, tasks, state, action):
    return family.step(key, tasks, state, action)
