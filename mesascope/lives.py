"""What a rollout is made of: a block of lifetimes, what it leaves behind, what a condition may use while it lives.

A lifetime is T trials of S steps, and step s of trial t is its tick t·S + s. Draws are addressed by tick, partners by
trial. With S = 1 trial, step and tick are one thing, and no axis of steps is anywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.conditions import Context, select
from mesascope.errors import MesascopeError
from mesascope.families import Family, Percept

BLOCK = 64


class Record(NamedTuple):
    """What one block leaves behind, each with leading axes T, N; where trials have steps some with T, S, N.

    Attributes:
        action: of the kept steps; -1, or NaN where actions are real, at idle ones.
        feedback: the sum over the steps of a trial.
        score: the same of the expected pay-offs.
        partner: whose carry or outcome may have been used.
        log_probs: [..., K] of the kept steps.
        observation: [..., D] before each step, of all steps.
        taps: [..., U] of the kept steps.
        steps: the steps that were lived; None with S = 1.
        paid: the feedback of all steps, 0 at idle ones; None with S = 1.
    """

    action: Any
    feedback: Any
    score: Any
    partner: Any
    log_probs: Any
    observation: Any
    taps: Any
    steps: Any = None
    paid: Any = None


class Outcomes(NamedTuple):
    """What donors got: feedback [T·S, N] of the act at a tick, 0 at an idle one, observation [T·S, N, D] before it."""

    feedback: Any
    observation: Any


class Life(NamedTuple):
    """What goes from one tick to the next inside a block."""

    state: Any
    percept: Percept
    carry: Any
    shadow: Any
    recent: Any


def told(record: Record) -> Outcomes:
    """What a block's lifetimes lend to others."""
    if record.paid is None:
        return Outcomes(record.feedback, record.observation)
    return Outcomes(*(x.reshape(-1, *x.shape[2:]) for x in (record.paid, record.observation)))


def nothing(family: Family, ring: str) -> Outcomes:
    """What stands where no donors are asked for."""
    shape = (family.trials(ring) * family.steps, BLOCK)
    shown = (*shape, *family.shown)
    if not family.traceable:  # never read there, and large where pictures are shown
        return Outcomes(np.zeros(shape, np.float32), np.broadcast_to(np.float32(0), shown))
    return Outcomes(np.zeros(shape, np.float32), np.zeros(shown, np.float32))


@dataclasses.dataclass(frozen=True)
class Setting:
    """What stays the same in a block, from which a condition's context is made at every tick.

    Attributes:
        family: what is lived.
        fresh: the carry at birth.
        start: the start-of-life percept.
        donated: what donors got.
        keys: keys(name, tick).
        respond: the subject's.
        repeat: as in `Context`.
    """

    family: Family
    fresh: Any
    start: Percept
    donated: Outcomes
    keys: Callable[..., Any]
    respond: Callable[..., Any]
    repeat: Callable[..., Any]

    def context(self, t: Any, s: Any, partner: Any, past: Callable[[Any], tuple[Percept, Any]]) -> Context:
        """What a condition may use at step s of trial t; past(i) gives the percept of i ticks ago and who was idle."""
        family, steps = self.family, self.family.steps
        now = t if steps == 1 else t * steps + s

        def exchange(i, old):
            at, before = (max(x, 0) if isinstance(x, int) else jnp.clip(x, 0) for x in (now - i, now - 1 - i))
            lent = self.donated.feedback[before][partner], self.donated.observation[at][partner]
            return family.exchanged(old, *lent)

        def live(i, carry, percept):
            after, idle = self.respond(self.keys("act", now - i), carry, percept)[0], past(i)[1]
            return after if idle is None else select(idle, carry, after)

        begins = True if steps == 1 else s == 0
        return Context(
            fresh=self.fresh,
            start=self.start,
            past=lambda i: past(i)[0],
            partner=partner,
            exchange=exchange,
            flip=family.flipped,
            reborn=lambda percept: family.reborn(percept, self.start),
            choices=family.choices,
            steps=steps,
            step=s,
            begins=begins,
            comes=lambda at: t == at if steps == 1 else (t == at) & begins,
            key=lambda i: self.keys("act", now - i),
            respond=self.respond,
            live=live,
            repeat=self.repeat,
        )


def settled(idle: Any, before: Life, after: Life, real: bool, out: Any) -> tuple[Life, Any]:
    """Lifetimes that are idle stand still, and their step counts nowhere.

    Args:
        idle: [N].
        before: the life before the step.
        after: the life as it would have gone on.
        real: whether actions are real numbers.
        out: action, score, paid, log_probs and taps of the step.
    """
    still = {k: select(idle, getattr(before, k), getattr(after, k)) for k in ("state", "percept", "carry")}
    xp = np if isinstance(idle, np.ndarray) else jnp
    action, score, paid, log_probs, taps = out

    def blank(x):
        return xp.where(idle.reshape(idle.shape + (1,) * (x.ndim - 1)), xp.nan, x).astype(x.dtype)

    out = (
        xp.where(idle, xp.nan if real else -1, action).astype(action.dtype),
        xp.where(idle, 0.0, score).astype(score.dtype),
        xp.where(idle, 0.0, paid).astype(paid.dtype),
        *jax.tree.map(blank, (log_probs, taps)),
    )
    return after._replace(**still), out


def unkept(i: Any) -> tuple[Percept, Any]:
    """The past where no condition looks back upon it."""
    raise MesascopeError(
        "A condition looks back upon percepts of trials with steps and does not say so.",
        "Give it the class variable looks_back = True.",
    )
