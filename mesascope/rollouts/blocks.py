"""The parts of a rollout: blocks of lifetimes, their records, and what a condition may use at a step.

A lifetime has T trials of S steps, and step s of trial t is tick t·S + s. Every tick has its own draws, and every
trial has its own partners. If S = 1, every trial is one tick, and no array has an axis of steps.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Condition, Context, Family, Intact, Percept, Repeat, select
from mesascope.errors import MesascopeError
from mesascope.trials import BLOCK_SIZE, MAX_STORED_NUMBERS, MAX_STORED_STEPS

BlockAddress = tuple[str | int, ...]  # a block's address: (number,), or ('lent', draw, number) for donors
Keys = Callable[..., jax.Array]  # keys(name, tick) is a block's key for the purpose 'act', 'pay' or 'disturb' at a tick


class Record(NamedTuple):
    """The record of one block: arrays with leading axes T, N. If trials have several steps, some have axes T, S, N.

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


class Job(NamedTuple):
    """A block of lifetimes to run under a condition, with the outcomes that its donors lend."""

    place: BlockAddress
    condition: Condition
    donor_outcomes: Outcomes


class BlockState(NamedTuple):
    """The state of a block between two ticks.

    Attributes:
        state: the hidden state of the tasks.
        percept: the next percept.
        carry: the subject's carry.
        shadow: the condition's own carry.
        recent: the last ticks, in a compiled scan.
    """

    state: Any
    percept: Percept
    carry: Any
    shadow: Any
    recent: Any


class PastTick(NamedTuple):
    """A past tick.

    Attributes:
        percept: the percept at that tick.
        idle: [N] whether each lifetime was idle; None if lifetimes are never idle.
        last: [N] the last earlier tick at which each lifetime was not idle; None if lifetimes are never idle.
    """

    percept: Percept
    idle: Any = None
    last: Any = None


def read_outcomes(record: Record) -> Outcomes:
    """The outcomes that a block's lifetimes lend to others."""
    if record.paid is None:
        return Outcomes(record.feedback, record.observation)
    feedback, observation = np.asarray(record.paid), record.observation
    observation = np.zeros((*feedback.shape, 0), np.float32) if observation is None else np.asarray(observation)
    return Outcomes(feedback.reshape(-1, feedback.shape[-1]), np.concatenate(list(observation)))


def trim_observations(record: Record, condition: Condition, keeps_all: bool) -> Record:
    """The record of trials of several steps without observations that nothing reads.

    A judged condition keeps the observations before the first steps [T, N, D], from which the worth of its actions is
    computed. The intact condition keeps all if `keeps_all`. Other conditions keep none.
    """
    if condition.judged:
        return record._replace(observation=record.observation[:, 0])
    return record if keeps_all and type(condition) is Intact else record._replace(observation=None)


def lends_observations(family: Family) -> bool:
    """Whether donors lend observations as well as feedback: if an observation shows the outcome."""
    return type(family).with_outcome is not Family.with_outcome


def keeps_observations(family: Family, trials: int) -> bool:
    """Whether the record keeps every observation of a lifetime with this many trials."""
    size = trials * family.steps * math.prod(family.shown)
    return family.steps <= MAX_STORED_STEPS and size <= MAX_STORED_NUMBERS


def empty_outcomes(family: Family, split: str) -> Outcomes:
    """Zeros in place of donors' outcomes, for lifetimes on this split."""
    shape = (family.split(split).trials * family.steps, BLOCK_SIZE)
    observation_shape = (*shape, *(family.shown if family.steps == 1 or lends_observations(family) else (0,)))
    if not family.traceable:  # never read, but large if observations are pictures
        return Outcomes(np.zeros(shape, np.float32), np.broadcast_to(np.float32(0), observation_shape))
    return Outcomes(np.zeros(shape, np.float32), np.zeros(observation_shape, np.float32))


@dataclasses.dataclass(frozen=True)
class BlockConstants:
    """What stays the same in a block; `context` makes a condition's context at every tick from it.

    Attributes:
        family: the family of the tasks.
        fresh: the carry at birth.
        start: the first percept of each lifetime.
        donor_outcomes: the donors' outcomes.
        keys: a function that gives the key for a purpose at a tick.
        subject: the subject, or its compiled form.
        repeat: a loop over ticks, as in `Context`.
    """

    family: Family
    fresh: Any
    start: Percept
    donor_outcomes: Outcomes
    keys: Keys
    subject: Any
    repeat: Repeat

    def context(self, t: Any, s: Any, partner: Any, past: Callable[[Any], PastTick]) -> Context:
        """What a condition may use at step s of trial t; past(i) is the tick i ticks ago."""
        family, steps = self.family, self.family.steps
        now = t if steps == 1 else t * steps + s

        def exchange(i, old):
            last = past(i).last
            last = now - 1 - i if last is None else last
            at, before = (max(x, 0) if isinstance(x, int) else jnp.clip(x, 0) for x in (now - i, last))
            feedback = self.donor_outcomes.feedback
            feedback = feedback[before][partner] if jnp.ndim(before) == 0 else feedback[before, partner]
            return family.with_outcome(old, feedback, self.donor_outcomes.observation[at][partner])

        def repeat_step(i, carry, percept):
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
            live=repeat_step,
            repeat=self.repeat,
            absorb=self.subject.absorb,
        )


def restore_idle(idle: Any, before: BlockState, after: BlockState) -> BlockState:
    """The block after a step, in which the idle lifetimes are as before the step; `idle` has shape [N]."""
    names = ("state", "percept", "carry")
    return after._replace(**{k: select(idle, getattr(before, k), getattr(after, k)) for k in names})


def blank_idle(idle: Any, real: bool, step: Step) -> Step:
    """The record of a step, without the values of idle lifetimes; `idle` has shape [N]."""
    xp = np if isinstance(idle, np.ndarray) else jnp

    def blank(x, value=xp.nan):
        return xp.where(idle.reshape(idle.shape + (1,) * (x.ndim - 1)), value, x).astype(x.dtype)

    action, score, paid = blank(step.action, xp.nan if real else -1), blank(step.score, 0.0), blank(step.paid, 0.0)
    return Step(action, score, paid, *jax.tree.map(blank, (step.log_probs, step.taps)))


def is_undisturbed(condition: Condition) -> bool:
    """Whether a lifetime continues under this condition as if nothing had been disturbed."""
    return type(condition) is Intact or bool(condition.one_step)


def limit_to_present(present: PastTick) -> Callable[[Any], PastTick]:
    """Makes a function past(i) that gives the present tick alone, for conditions that do not look back."""

    def past(i: Any) -> PastTick:
        if isinstance(i, int) and i == 0:
            return present
        problem = "A condition looks back on percepts of trials with steps, but does not set `looks_back`."
        raise MesascopeError(problem, "Give it the class variable looks_back = True.")

    return past
