"""The parts of a rollout: a block of lifetimes, its record, and what a condition may use while it runs.

A lifetime has T trials of S steps, and step s of trial t is tick t·S + s. Every tick has its own draws, and every
trial has its own partners. If S = 1, every trial is one tick, and no array has an axis of steps.
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
from mesascope.trials import BLOCK, KEPT, LARGEST

Place = tuple[str | int, ...]  # a block's address: (number,), or ('lent', draw, number) for donors


class Keys(Protocol):
    """A function that gives the random keys of a block."""

    def __call__(self, name: str, tick: Any, /) -> jax.Array:
        """The key for the purpose `name` ('act', 'pay', 'disturb') at a tick."""
        ...


class Record(NamedTuple):
    """What one block recorded: arrays with leading axes T, N. If trials have several steps, some have axes T, S, N.

    Attributes:
        action: the actions at the kept steps; at idle steps -1, or NaN if actions are real.
        feedback: the feedback, summed over the steps of a trial.
        score: the expected pay-off, summed over the steps of a trial.
        partner: the lifetime whose carry or outcome the condition may have used.
        log_probs: [..., K] the log-probabilities at the kept steps.
        observation: [..., D] the observation before every step; None if there are too many, or none are requested.
        taps: [..., U] the activations at the kept steps, by name.
        steps: how many steps ran; None if S = 1.
        paid: the feedback at every step, 0 at idle ones; None if S = 1.
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
    """The record of one step: arrays with leading axis N.

    Attributes:
        action: the action of each lifetime.
        score: the expected pay-off of the action.
        paid: the feedback on the action.
        log_probs: [N, K] the log-probabilities of all actions, or None.
        taps: [N, U] activations by name.
    """

    action: Any
    score: Any
    paid: Any
    log_probs: Any
    taps: Any


class Outcomes(NamedTuple):
    """The outcomes that donors lend.

    Attributes:
        feedback: [T·S, N] the feedback at every tick, 0 at idle ones.
        observation: [T·S, N, D] the observation before every tick.
    """

    feedback: Any
    observation: Any


class Disturbed(NamedTuple):
    """A condition under which lifetimes run, with its donors' outcomes and [T, N] the partners."""

    condition: Condition
    donated: Outcomes
    partners: Any


class Life(NamedTuple):
    """The state of a block between two ticks."""

    state: Any
    percept: Percept
    carry: Any
    shadow: Any
    recent: Any


class Past(NamedTuple):
    """A past tick.

    Attributes:
        percept: the percept at that tick.
        idle: [N] whether each lifetime was idle; None if lifetimes are never idle.
        last: [N] the tick before it at which each lifetime was last awake; None if lifetimes are never idle.
    """

    percept: Percept
    idle: Any = None
    last: Any = None


def lendable(record: Record) -> Outcomes:
    """The outcomes that a block's lifetimes lend to others."""
    if record.paid is None:
        return Outcomes(record.feedback, record.observation)
    feedback, observation = np.asarray(record.paid), record.observation
    observation = np.zeros((*feedback.shape, 0), np.float32) if observation is None else np.asarray(observation)
    return Outcomes(feedback.reshape(-1, feedback.shape[-1]), np.concatenate(list(observation)))


def lends_observations(family: Family) -> bool:
    """Whether conditions use the donors' observations, which they do if an observation shows the outcome."""
    return type(family).with_outcome is not Family.with_outcome


def keeps_observations(family: Family, trials: int) -> bool:
    """Whether the record keeps every observation of a lifetime with this many trials."""
    size = trials * family.steps * math.prod(family.shown)
    return family.steps <= KEPT and size <= LARGEST


def empty_outcomes(family: Family, trials: int) -> Outcomes:
    """Zeros in place of donors' outcomes, for lifetimes with this many trials."""
    shape = (trials * family.steps, BLOCK)
    observation_shape = (*shape, *(family.shown if family.steps == 1 or lends_observations(family) else (0,)))
    if not family.traceable:  # never read, but large if observations are pictures
        return Outcomes(np.zeros(shape, np.float32), np.broadcast_to(np.float32(0), observation_shape))
    return Outcomes(np.zeros(shape, np.float32), np.zeros(observation_shape, np.float32))


@dataclasses.dataclass(frozen=True)
class Setting:
    """The constants of a block, from which `context` makes a condition's context at every tick.

    Attributes:
        family: the family of the tasks.
        fresh: the carry at birth.
        start: the first percept of each lifetime.
        donated: the donors' outcomes.
        keys: gives the key for a purpose at a tick.
        subject: the subject, or its compiled form.
        repeat: a loop over ticks, as in `Context`.
    """

    family: Family
    fresh: Any
    start: Percept
    donated: Outcomes
    keys: Keys
    subject: Any
    repeat: Repeat

    def context(self, t: Any, s: Any, partner: Any, past: Callable[[Any], Past]) -> Context:
        """What a condition may use at step s of trial t; past(i) is the tick i ticks ago."""
        family, steps = self.family, self.family.steps
        now = t if steps == 1 else t * steps + s

        def exchange(i, old):
            last = past(i).last
            last = now - 1 - i if last is None else last
            at, before = (max(x, 0) if isinstance(x, int) else jnp.clip(x, 0) for x in (now - i, last))
            feedback = self.donated.feedback
            feedback = feedback[before][partner] if jnp.ndim(before) == 0 else feedback[before, partner]
            return family.with_outcome(old, feedback, self.donated.observation[at][partner])

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
    """The lifetimes after a step, in which the idle ones are as they were before; `idle` has shape [N]."""
    chosen = {name: select(idle, getattr(before, name), getattr(after, name)) for name in ("state", "percept", "carry")}
    return after._replace(**chosen)


def blank_idle(idle: Any, real: bool, step: Step) -> Step:
    """The record of a step, in which the idle lifetimes are blanked; `idle` has shape [N]."""
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
    """Whether a lifetime under this condition continues as if nothing had been disturbed."""
    return type(condition) is Intact or bool(condition.one_step)


def present_only(present: Past) -> Callable[[Any], Past]:
    """A function that gives the present tick alone, for conditions that do not look back."""

    def past(i: Any) -> Past:
        if isinstance(i, int) and i == 0:
            return present
        problem = "A condition looks back on percepts of trials with steps and does not say so."
        raise MesascopeError(problem, "Give it the class variable looks_back = True.")

    return past
