"""What a rollout is made of: a block of lifetimes, what it leaves behind, what a condition may use while it lives.

A lifetime is T trials of S steps, and step s of trial t is its tick t·S + s. Draws are addressed by tick, partners by
trial. With S = 1 trial, step and tick are one thing, and no axis of steps is anywhere.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.condition import Condition, Context, Intact, Repeat, select
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.errors import MesascopeError
from mesascope.trials import KEPT, LARGEST

BLOCK = 64


class Keys(Protocol):
    """The keys of a block."""

    def __call__(self, name: str, tick: Any, /) -> jax.Array:
        """The key of what `name` stands for ('act', 'pay', 'disturb') at a tick."""
        ...


class Record(NamedTuple):
    """What one block leaves behind, each with leading axes T, N; where trials have steps some with T, S, N.

    Attributes:
        action: of the kept steps; -1, or NaN where actions are real, at idle ones.
        feedback: the sum over the steps of a trial.
        score: the same of the expected pay-offs.
        partner: whose carry or outcome may have been used.
        log_probs: [..., K] of the kept steps.
        observation: [..., D] before each step, of all steps; None where steps are many or not asked for.
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


class Step(NamedTuple):
    """What one step leaves behind, each with leading axis N.

    Attributes:
        action: what was done.
        score: its expected pay-off.
        paid: its feedback.
        log_probs: [N, K] of all actions, or None.
        taps: [N, U] activations by name.
    """

    action: Any
    score: Any
    paid: Any
    log_probs: Any
    taps: Any


class Outcomes(NamedTuple):
    """What donors got: feedback [T·S, N] of the act at a tick, 0 at an idle one, observation [T·S, N, D] before it."""

    feedback: Any
    observation: Any


class Disturbed(NamedTuple):
    """A condition under which lifetimes are lived, what its donors got, and the partners [T, N]."""

    condition: Condition
    donated: Outcomes
    partners: Any


class Life(NamedTuple):
    """What goes from one tick to the next inside a block."""

    state: Any
    percept: Percept
    carry: Any
    shadow: Any
    recent: Any


class Past(NamedTuple):
    """What is known of a tick: the percept then, who was idle [N], the last tick that each had lived until then [N].

    The last two are None where nobody is ever idle.
    """

    percept: Percept
    idle: Any = None
    last: Any = None


def lendable(record: Record) -> Outcomes:
    """What a block's lifetimes lend to others."""
    if record.paid is None:
        return Outcomes(record.feedback, record.observation)
    paid, shown = np.asarray(record.paid), record.observation
    shown = np.zeros((*paid.shape, 0), np.float32) if shown is None else np.asarray(shown)
    return Outcomes(paid.reshape(-1, paid.shape[-1]), np.concatenate(list(shown)))


def lends_observations(family: Family) -> bool:
    """Whether what donors saw is ever asked for: where an observation tells the outcome."""
    return type(family).with_outcome is not Family.with_outcome


def keeps_observations(family: Family, trials: int) -> bool:
    """Whether all that is seen in a lifetime of so many trials is kept."""
    seen = trials * family.steps * math.prod(family.shown)
    return family.steps <= KEPT and seen <= LARGEST


def empty_outcomes(family: Family, trials: int) -> Outcomes:
    """What stands where no donors are asked for, in lifetimes of so many trials."""
    shape = (trials * family.steps, BLOCK)
    shown = (*shape, *(family.shown if family.steps == 1 or lends_observations(family) else (0,)))
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
        subject: who lives, or what answers for it.
        repeat: as in `Context`.
    """

    family: Family
    fresh: Any
    start: Percept
    donated: Outcomes
    keys: Keys
    subject: Any
    repeat: Repeat

    def context(self, t: Any, s: Any, partner: Any, past: Callable[[Any], Past]) -> Context:
        """What a condition may use at step s of trial t; past(i) tells of i ticks ago."""
        family, steps = self.family, self.family.steps
        now = t if steps == 1 else t * steps + s

        def exchange(i, old):
            last = past(i).last
            last = now - 1 - i if last is None else last
            at, before = (max(x, 0) if isinstance(x, int) else jnp.clip(x, 0) for x in (now - i, last))
            paid = self.donated.feedback
            paid = paid[before][partner] if jnp.ndim(before) == 0 else paid[before, partner]
            return family.with_outcome(old, paid, self.donated.observation[at][partner])

        def live(i, carry, percept):
            after, idle = self.subject.absorb(self.keys("act", now - i), carry, percept), past(i).idle
            return after if idle is None else select(idle, carry, after)

        begins = True if steps == 1 else s == 0
        return Context(
            trial=t,
            random=lambda: self.keys("disturb", now),
            fresh=self.fresh,
            start=self.start,
            past=lambda i: past(i).percept,
            partner=partner,
            exchange=exchange,
            flip=family.with_opposite_outcome,
            as_first=lambda percept: family.as_first(percept, self.start),
            choices=family.choices,
            steps=steps,
            step=s,
            begins=begins,
            comes=lambda at: t == at if steps == 1 else (t == at) & begins,
            key=lambda i: self.keys("act", now - i),
            respond=self.subject.respond,
            live=live,
            repeat=self.repeat,
            absorb=self.subject.absorb,
        )


def select_idle(idle: Any, before: Life, after: Life) -> Life:
    """How the life goes on where those that are idle [N] stay where they were."""
    kept = {k: select(idle, getattr(before, k), getattr(after, k)) for k in ("state", "percept", "carry")}
    return after._replace(**kept)


def blank_idle(idle: Any, real: bool, step: Step) -> Step:
    """What a step left behind, without that of lifetimes that are idle [N]."""
    xp = np if isinstance(idle, np.ndarray) else jnp

    def blank(x):
        return xp.where(idle.reshape(idle.shape + (1,) * (x.ndim - 1)), xp.nan, x).astype(x.dtype)

    return Step(
        xp.where(idle, xp.nan if real else -1, step.action).astype(step.action.dtype),
        xp.where(idle, 0.0, step.score).astype(step.score.dtype),
        xp.where(idle, 0.0, step.paid).astype(step.paid.dtype),
        *jax.tree.map(blank, (step.log_probs, step.taps)),
    )


def is_undisturbed(condition: Condition) -> bool:
    """Whether the life goes on as if nothing had been disturbed."""
    return type(condition) is Intact or bool(condition.one_step)


def present_only(present: Past) -> Callable[[Any], Past]:
    """The past where no condition looks back upon it."""

    def past(i: Any) -> Past:
        if isinstance(i, int) and i == 0:
            return present
        raise MesascopeError(
            "A condition looks back upon percepts of trials with steps and does not say so.",
            "Give it the class variable looks_back = True.",
        )

    return past
