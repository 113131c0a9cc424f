"""What a rollout is made of: a block of lifetimes, what it leaves behind, what a condition may use while it lives."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mesascope.conditions import Context
from mesascope.families import Family, Percept

BLOCK = 64


class Record(NamedTuple):
    """What one block leaves behind, each with leading axes T, N (log_probs, observation and taps more)."""

    action: Any
    feedback: Any
    score: Any
    partner: Any
    log_probs: Any
    observation: Any
    taps: Any


class Outcomes(NamedTuple):
    """What donors got: feedback [T, N] of the act at a trial, observation [T, N, D] before it."""

    feedback: Any
    observation: Any


class Life(NamedTuple):
    """What goes from one trial to the next inside a block."""

    state: Any
    percept: Percept
    carry: Any
    shadow: Any
    recent: Any


def told(record: Record) -> Outcomes:
    """What a block's lifetimes lend to others."""
    return Outcomes(record.feedback, record.observation)


def nothing(family: Family, ring: str) -> Outcomes:
    """What stands where no donors are asked for."""
    shape = (family.trials(ring), BLOCK)
    shown = (*shape, *family.shown)
    if not family.traceable:  # never read there, and large where pictures are shown
        return Outcomes(np.zeros(shape, np.float32), np.broadcast_to(np.float32(0), shown))
    return Outcomes(np.zeros(shape, np.float32), np.zeros(shown, np.float32))


def context(subject, family, fresh, start, keys, t, recent, partner, donated, repeat) -> Context:
    """What a condition may use at trial t; `subject.respond` may be the compiled one."""

    def exchange(i, old):
        at, before = (max(x, 0) if isinstance(x, int) else jnp.clip(x, 0) for x in (t - i, t - 1 - i))
        return family.exchanged(old, donated.feedback[before][partner], donated.observation[at][partner])

    return Context(
        fresh=fresh,
        start=start,
        recent=recent,
        partner=partner,
        exchange=exchange,
        flip=family.flipped,
        choices=family.choices,
        key=lambda i: keys("act", t - i),
        respond=subject.respond,
        repeat=repeat,
    )
