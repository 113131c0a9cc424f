"""One block of lifetimes trial by trial in Python, where JAX cannot trace the subject or the family."""

from __future__ import annotations

import collections
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.conditions import RECENT, select
from mesascope.families import Family, Percept
from mesascope.lives import BLOCK, Life, Past, Record, Setting, only, settled
from mesascope.subjects import Subject
from mesascope.trials import kept_steps


def looped(subject, family, tasks, keys, condition, donated, partners, record, whole: bool) -> Record:
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
        whole: whether to keep every observation of trials with steps.
    """
    subject, world = _Compiled(subject) if subject.traceable else subject, _World(family, tasks)
    state, start = world.begin(keys("begin"))
    fresh, steps, real = subject.fresh(BLOCK), family.steps, family.choices is None

    def repeat(low, high, body, carry):
        for i in range(int(low), int(high)):
            carry = body(i, carry)
        return carry

    setting = Setting(family, fresh, start, donated, keys, subject, repeat)
    looked = condition.looks_back or steps == 1
    recent = collections.deque(maxlen=RECENT * steps if looked else 1)  # newest first

    def past(i):
        return recent[int(i)] if int(i) < len(recent) else Past(start)

    def live(life: Life, t: int, s: int, partner: Any, idle: Any, last: Any):
        now = t * steps + s
        present = Past(life.percept, idle, last)
        recent.appendleft(present)
        allowed = setting.context(t, s, partner, past if looked else only(present))
        told = condition.apply(keys("disturb", now), t, life.carry, life.percept, life.shadow, allowed)
        carry, seen, shadow = told
        after, response = subject.respond(keys("act", now), carry, seen)
        lived, acted = after, response
        if condition.one_step:
            lived, acted = subject.respond(keys("act", now), life.carry, life.percept)
        taps = {k: np.asarray(v) for k, v in subject.taps(after).items() if k in record}
        state, percept, score = world.step(keys("pay", now), life.state, acted.action, idle)
        action, score, paid = (np.asarray(x) for x in (response.action, score, percept.feedback))
        log_probs = None if response.log_probs is None else np.asarray(response.log_probs)
        out = action, score, paid, log_probs, taps
        after = Life(state, percept, lived, shadow, ())
        if idle is None or not idle.any():
            return after, out
        if not family.traceable:  # it kept its idle lifetimes as they were
            idled = settled(idle, life._replace(state=()), after._replace(state=()), real, out)
            return idled[0]._replace(state=state), idled[1]
        return settled(idle, life, after, real, out)

    life, out = Life(state, start, fresh, fresh, ()), []
    last = None if steps == 1 or family.idle(state) is None else np.full(BLOCK, -1)
    for t, partner in enumerate(np.asarray(partners)):
        if steps == 1:
            shown = life.percept.observation
            life, (action, score, paid, log_probs, taps) = live(life, t, 0, partner, None, None)
            out.append(Record(action, paid, score, partner, log_probs, shown, taps))
            continue
        made = []
        for s in range(steps):
            idle = family.idle(life.state) if s else None
            idle = None if idle is None else np.asarray(idle)
            if idle is not None and idle.all():
                break
            shown = life.percept.observation if whole else None
            life, step = live(life, t, s, partner, idle, last)
            awake = np.ones(BLOCK, bool) if idle is None else ~idle
            last = last if last is None else np.where(awake, t * steps + s, last)
            made.append((*step, shown, awake))
        skipped = steps - len(made)
        for _ in range(skipped if looked else 0):
            recent.appendleft(Past(life.percept, np.ones(BLOCK, bool), last))
        out.append(_trial(made, steps, partner, real))
    return jax.tree.map(lambda *xs: np.stack(xs), *out)


def _trial(made: list[Any], steps: int, partner: Any, real: bool) -> Record:
    """A trial's record from its steps, those behind the last one that anybody lived filled up."""
    stacked = jax.tree.map(lambda *xs: np.stack(xs), *made)
    action, score, paid, log_probs, taps, shown, awake = stacked
    kept, lived = kept_steps(steps), len(action)

    def filled(x, value, rows):
        more = np.full((steps - lived, *x.shape[1:]), value, x.dtype)
        return np.concatenate([x, more])[rows]

    every = np.arange(steps)
    log_probs, taps = jax.tree.map(lambda x: filled(x, np.nan, kept), (log_probs, taps))
    return Record(
        filled(action, np.nan if real else -1, kept),
        paid.sum(0),
        score.sum(0),
        partner,
        log_probs,
        None if shown is None else filled(shown, 0, every),
        taps,
        awake.sum(0),
        filled(paid, 0.0, every),
    )


def watched(subject, family, tasks, keys, ticks: int) -> Percept:
    """What is seen at the first ticks of an undisturbed block, with axes T·S, N."""
    subject, world = _Compiled(subject) if subject.traceable else subject, _World(family, tasks)
    (state, percept), carry, seen = world.begin(keys("begin")), subject.fresh(BLOCK), []
    for now in range(ticks):
        seen.append(percept)
        idle = family.idle(state) if now % family.steps else None
        idle = np.zeros(BLOCK, bool) if idle is None else np.asarray(idle)
        after, response = subject.respond(keys("act", now), carry, percept)
        stepped, told, _ = world.step(keys("pay", now), state, response.action, idle)
        state = select(idle, state, stepped) if family.traceable else stepped
        carry = select(idle, carry, after) if idle.any() else after
        percept = select(idle, percept, told)
    return jax.tree.map(lambda *xs: np.stack(xs), *seen)


class _World:
    """A family as a loop lives in it, in NumPy."""

    def __init__(self, family: Family, tasks: Any):
        self.family, self.tasks = family, tasks
        self.kind = np.float32 if family.choices is None else np.int32

    def begin(self, key: Any) -> tuple[Any, Any]:
        begun = self.family.begin(key, self.tasks)
        return jax.tree.map(np.asarray, begun) if self.family.traceable else begun

    def step(self, key: Any, state: Any, action: Any, idle: Any = None) -> tuple[Any, Any, Any]:
        if not self.family.traceable:
            action = np.asarray(action, self.kind)
            if idle is not None:
                action = np.where(idle, np.nan if self.kind is np.float32 else -1, action).astype(self.kind)
            return self.family.step(key, self.tasks, state, action)
        state, percept, score = _stepped(self.family, key, self.tasks, state, jnp.asarray(action))
        return (*jax.tree.map(np.asarray, (state, percept)), score)


class _Compiled:
    """A traceable subject, one response at a time."""

    def __init__(self, subject: Subject):
        self.subject, self.fresh, self.taps = subject, subject.fresh, subject.taps

    def respond(self, key: Any, carry: Any, percept: Any) -> Any:
        return _responded(self.subject, key, carry, percept)

    def absorb(self, key: Any, carry: Any, percept: Any) -> Any:
        return _responded(self.subject, key, carry, percept)[0]


@eqx.filter_jit
def _stepped(family, key, tasks, state, action):
    return family.step(key, tasks, state, action)


@eqx.filter_jit
def _responded(subject, key, carry, percept):
    return subject.respond(key, carry, percept)
