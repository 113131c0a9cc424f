"""One block of lifetimes as one compiled scan, for subjects and families that JAX can trace."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mesascope import compiling
from mesascope.conditions import RECENT
from mesascope.keys import address
from mesascope.lives import BLOCK, Life, Record, context
from mesascope.subjects import Response


def scanned(
    subject, family, tasks, key, condition, examples, donated, partners, trials: int, record
) -> Record:
    """One block of one condition, as NumPy arrays.

    Args:
        subject: who lives.
        family: what is lived.
        tasks: of the block.
        key: of the block.
        condition: what is disturbed.
        examples: one condition of every kind that the compiled scan holds.
        donated: what donors got.
        partners: [T, N].
        trials: T.
        record: names of taps to keep.
    """
    kinds = tuple(condition if type(condition) is type(k) else k for k in examples)
    which = np.asarray([type(condition) is type(k) for k in examples]).argmax().astype(np.int32)
    numbers = jax.tree.map(_number, kinds)
    return jax.device_get(
        _scanned(subject, family, tasks, key, numbers, which, donated, partners, trials, record)
    )


def _number(x: Any) -> np.ndarray:
    """A condition's number as JAX would hold it."""
    x = np.asarray(x)
    return x.astype(np.int32 if x.dtype.kind == "i" else np.float32 if x.dtype.kind == "f" else x.dtype)


@compiling.lived
def _scanned(subject, family, tasks, key, kinds, which, donated, partners, trials, record) -> Record:
    """One block of one condition as one scan; the condition's kind and numbers are data."""
    state, start = family.begin(address(key, "begin"), tasks)
    fresh = subject.fresh(BLOCK)
    one_step = jnp.asarray([k.one_step for k in kinds])[which]
    keys = functools.partial(address, key)

    def repeat(low, high, body, carry):
        return jax.lax.fori_loop(low, jnp.asarray(high, jnp.int32), body, carry)

    def trial(life: Life, xs):
        t, partner = xs
        recent = jax.tree.map(
            lambda old, new: jnp.concatenate([new[None], old[:-1]]), life.recent, life.percept
        )
        allowed = context(subject, family, fresh, start, keys, t, recent, partner, donated, repeat)

        def disturb(kind):
            return lambda: kind.apply(
                address(key, "disturb", t), t, life.carry, life.percept, life.shadow, allowed
            )

        carry, percept, shadow = jax.lax.switch(which, [disturb(k) for k in kinds])
        after, response = subject.respond(address(key, "act", t), carry, percept)
        lived, action = jax.lax.cond(
            one_step,
            lambda: _strip(subject.respond(address(key, "act", t), life.carry, life.percept)),
            lambda: (after, response.action),
        )
        state, percept, score = family.step(address(key, "pay", t), tasks, life.state, action)
        out = Record(
            response.action,
            percept.feedback,
            score,
            partner,
            response.log_probs,
            life.percept.observation,
            {k: v for k, v in subject.taps(after).items() if k in record},
        )
        return Life(state, percept, lived, shadow, recent), out

    recent = jax.tree.map(lambda x: jnp.repeat(x[None], RECENT, 0), start)
    life = Life(state, start, fresh, fresh, recent)
    return jax.lax.scan(trial, life, (jnp.arange(trials), partners))[1]


def _strip(answer: tuple[Any, Response]) -> tuple[Any, jax.Array]:
    return answer[0], answer[1].action
