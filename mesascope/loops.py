"""One block of lifetimes trial by trial in Python, where JAX cannot trace the subject or the family."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.conditions import RECENT
from mesascope.families import Family
from mesascope.lives import BLOCK, Record, context
from mesascope.subjects import Subject


def looped(subject, family, tasks, keys, condition, donated, partners, record) -> Record:
    """One block of one condition, as NumPy arrays; the arguments are those of `scans.scanned`.

    Args:
        subject: who lives.
        family: what is lived.
        tasks: of the block.
        keys: keys(name, t) is a key of the block.
        condition: what is disturbed.
        donated: what donors got.
        partners: [T, N].
        record: names of taps to keep.
    """
    subject, world = _Compiled(subject) if subject.traceable else subject, _World(family, tasks)
    state, start = world.begin(keys("begin"))
    fresh = subject.fresh(BLOCK)

    def repeat(low, high, body, carry):
        for i in range(int(low), int(high)):
            carry = body(i, carry)
        return carry

    recent = jax.tree.map(lambda x: np.repeat(x[None], RECENT, 0), start)
    percept, carry, shadow, out = start, fresh, fresh, []
    for t in range(len(partners)):
        recent = jax.tree.map(lambda old, new: np.concatenate([new[None], old[:-1]]), recent, percept)
        partner = np.asarray(partners[t])
        allowed = context(subject, family, fresh, start, keys, t, recent, partner, donated, repeat)
        disturbed, seen, shadow = condition.apply(keys("disturb", t), t, carry, percept, shadow, allowed)
        after, response = subject.respond(keys("act", t), disturbed, seen)
        if condition.one_step:
            carry, lived = subject.respond(keys("act", t), carry, percept)
        else:
            carry, lived = after, response
        taps = {k: np.asarray(v) for k, v in subject.taps(after).items() if k in record}
        shown = percept.observation
        state, percept, score = world.step(keys("pay", t), state, lived.action)
        out.append(Record(response.action, percept.feedback, score, partner, response.log_probs, shown, taps))
    return jax.tree.map(lambda *xs: np.stack([np.asarray(x) for x in xs]), *out)


class _World:
    """A family as a loop lives in it, in NumPy."""

    def __init__(self, family: Family, tasks: Any):
        self.family, self.tasks = family, tasks
        self.kind = np.float32 if family.choices is None else np.int32

    def begin(self, key: Any) -> tuple[Any, Any]:
        begun = self.family.begin(key, self.tasks)
        return jax.tree.map(np.asarray, begun) if self.family.traceable else begun

    def step(self, key: Any, state: Any, action: Any) -> tuple[Any, Any, Any]:
        if not self.family.traceable:
            return self.family.step(key, self.tasks, state, np.asarray(action, self.kind))
        state, percept, score = _stepped(self.family, key, self.tasks, state, jnp.asarray(action))
        return (*jax.tree.map(np.asarray, (state, percept)), score)


class _Compiled:
    """A traceable subject, one response at a time."""

    def __init__(self, subject: Subject):
        self.subject, self.fresh, self.taps = subject, subject.fresh, subject.taps

    def respond(self, key: Any, carry: Any, percept: Any) -> Any:
        return _responded(self.subject, key, carry, percept)


@eqx.filter_jit
def _stepped(family, key, tasks, state, action):
    return family.step(key, tasks, state, action)


@eqx.filter_jit
def _responded(subject, key, carry, percept):
    return subject.respond(key, carry, percept)
