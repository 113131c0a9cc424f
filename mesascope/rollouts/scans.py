"""One block of lifetimes as one compiled scan, for subjects and families that JAX can trace."""

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.condition import RECENT
from mesascope.contracts.subject import Response
from mesascope.keys import address
from mesascope.rollouts import compiling
from mesascope.rollouts.lives import (
    BLOCK,
    Life,
    Past,
    Record,
    Setting,
    Step,
    blank_idle,
    present_only,
    select_idle,
)
from mesascope.trials import kept_steps


class Block(NamedTuple):
    """What one block is lived with: its key, its tasks, what donors got, the partners [T, N]."""

    key: Any
    tasks: Any
    donated: Any
    partners: Any


def run_scanned(
    subject, family, blocks: Sequence[Block], condition, examples, *, trials: int, record
) -> list[Record]:
    """Blocks of one condition in one call, as NumPy arrays.

    Args:
        subject: who lives.
        family: what is lived.
        blocks: how each is lived.
        condition: what is disturbed.
        examples: one condition of every kind that the compiled scan holds.
        trials: T.
        record: names of taps to keep.
    """
    kinds = tuple(condition if type(condition) is type(k) else k for k in examples)
    which = np.asarray([type(condition) is type(k) for k in examples]).argmax().astype(np.int32)
    told: Any = {"kinds": jax.tree.map(_number, kinds), "which": which, "trials": trials, "record": record}
    if len(blocks) == 1:
        return [jax.device_get(_scanned(subject, family, blocks[0], **told))]
    stacked = jax.tree.map(_stacked, *blocks)
    lived = jax.device_get(_side_by_side(subject, family, stacked, **told))
    return [jax.tree.map(operator.itemgetter(i), lived) for i in range(len(blocks))]


def _stacked(*x: Any) -> Any:
    return np.stack(x) if isinstance(x[0], np.ndarray) else jnp.stack(x)


def _number(x: Any) -> np.ndarray:
    """A condition's number as JAX would hold it."""
    x = np.asarray(x)
    return x.astype(np.int32 if x.dtype.kind == "i" else np.float32 if x.dtype.kind == "f" else x.dtype)


@compiling.compile_loop
def _side_by_side(subject, family, blocks, **told) -> Record:
    """Blocks of one condition, with a leading axis of blocks."""
    return jax.vmap(lambda block: _scan(subject, family, block, **told))(blocks)


@compiling.compile_loop
def _scanned(subject, family, block, **told) -> Record:
    """One block."""
    return _scan(subject, family, block, **told)


def _scan(subject, family, block: Block, *, kinds, which, trials, record) -> Record:
    """One block of one condition as one scan; the condition's kind and numbers are data."""
    key, tasks, donated, partners = block
    state, start = family.begin(address(key, "begin"), tasks)
    fresh = subject.fresh(BLOCK)
    one_step = jnp.asarray([k.one_step for k in kinds])[which]
    keys = functools.partial(address, key)

    def repeat(low, high, body, carry):
        return jax.lax.fori_loop(low, jnp.asarray(high, jnp.int32), body, carry)

    setting = Setting(family, fresh, start, donated, keys, subject, repeat)

    def live(life: Life, allowed, t, now):
        """One step: the disturbed response, and how the life goes on."""

        def disturb(kind):
            return lambda: kind.apply(life.carry, life.percept, life.shadow, allowed)

        carry, percept, shadow = jax.lax.switch(which, [disturb(k) for k in kinds])
        after, response = subject.respond(address(key, "act", now), carry, percept)
        lived, action = jax.lax.cond(
            one_step,
            lambda: _strip(subject.respond(address(key, "act", now), life.carry, life.percept)),
            lambda: (after, response.action),
        )
        state, percept, score = family.step(address(key, "pay", now), tasks, life.state, action)
        taps = {k: v for k, v in subject.taps(after).items() if k in record}
        out = Step(response.action, score, percept.feedback, response.log_probs, taps)
        return Life(state, percept, lived, shadow, life.recent), out

    def trial(life: Life, xs):
        t, partner = xs
        recent = jax.tree.map(
            lambda old, new: jnp.concatenate([new[None], old[:-1]]), life.recent, life.percept
        )
        allowed = setting.context(t, 0, partner, lambda i: Past(jax.tree.map(lambda x: x[i], recent)))
        after, out = live(life._replace(recent=recent), allowed, t, t)
        seen = life.percept.observation
        return after, Record(out.action, out.paid, out.score, partner, out.log_probs, seen, out.taps)

    def stepwise(begun, xs):
        t, partner = xs

        def step(begun, s):
            life, last = begun
            now, idle = t * family.steps + s, family.idle(life.state)
            idle = None if idle is None else idle & (s > 0)
            present = Past(life.percept, idle, last)
            recent = jax.tree.map(
                lambda old, new: old.at[now % len(old)].set(new), life.recent, present if looked else ()
            )

            def past(i):
                return jax.tree.map(lambda x: x[(now - i) % len(x)], recent)

            allowed = setting.context(t, s, partner, past if looked else present_only(present))
            after, out = live(life._replace(recent=recent), allowed, t, now)
            if idle is not None:
                after, out = select_idle(idle, life, after), blank_idle(idle, family.choices is None, out)
                last = jnp.where(idle, last, now)
            awake = jnp.ones(BLOCK, bool) if idle is None else ~idle
            return (after, last), (out, life.percept.observation, awake)

        begun, (out, shown, awake) = jax.lax.scan(step, begun, jnp.arange(family.steps))
        known = (out.action, out.log_probs, out.taps)
        action, log_probs, taps = jax.tree.map(lambda x: x[kept], known)
        sums = out.paid.sum(0), out.score.sum(0)
        return begun, Record(action, *sums, partner, log_probs, shown, taps, awake.sum(0), out.paid)

    if family.steps == 1:
        recent = jax.tree.map(lambda x: jnp.repeat(x[None], RECENT, 0), start)
        life = Life(state, start, fresh, fresh, recent)
        return jax.lax.scan(trial, life, (jnp.arange(trials), partners))[1]
    kept, idle = kept_steps(family.steps), family.idle(state)
    none, last = (None, None) if idle is None else (jnp.zeros(BLOCK, bool), jnp.full(BLOCK, -1))
    looked, past = any(k.looks_back for k in kinds), Past(start, none, last)
    recent = jax.tree.map(lambda x: jnp.repeat(x[None], RECENT * family.steps, 0), past) if looked else ()
    life = Life(state, start, fresh, fresh, recent)
    return jax.lax.scan(stepwise, (life, last), (jnp.arange(trials), partners))[1]


def _strip(answer: tuple[Any, Response]) -> tuple[Any, jax.Array]:
    return answer[0], answer[1].action
