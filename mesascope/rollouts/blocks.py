"""The parts of a rollout: blocks of lifetimes, their records, and the inputs of a condition at a step.

A lifetime has T trials of S steps, and step s of trial t has the number t·S + s in the lifetime. Every step has its own
random draws, and every trial has its own partners. If S = 1, no array has an axis of steps. In shapes, N is the number
of lifetimes in a block, K of actions, D of numbers in an observation, and U of units of a tap.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import (
    Condition,
    ConditionContext,
    Family,
    HasOppositesByTask,
    Intact,
    Percept,
    RepeatFunction,
    select,
)
from mesascope.errors import MesascopeError
from mesascope.trials import BLOCK_SIZE, MAX_STORED_NUMBERS, MAX_STORED_STEPS

BlockAddress = tuple[str | int, ...]  # the address of a block: (number,), or ('lent', draw, number) for donors
MakeKey = Callable[..., jax.Array]  # make_key(purpose, step number), for 'act', 'pay', 'disturb'; make_key('begin')


class Record(NamedTuple):
    """The record of one block: arrays with leading axes T, N.

    If trials have several steps, the arrays with values for single steps have leading axes T, S, N. Of those, action,
    log_probs and taps contain only the stored steps, which `choose_stored_steps` chooses.

    Attributes:
        action: the actions at the stored steps; at idle steps -1, or NaN if actions are real numbers.
        feedback: the feedback, summed over the steps of a trial.
        score: the expected pay-off, summed over the steps of a trial.
        partner: the index of the lifetime whose carry, percept or outcome the condition may have used.
        log_probs: [..., K] the log-probabilities of all actions at the stored steps; None if the subject does not
            report them.
        observation: [..., D] the observation before every step, or only before the first step of every trial (see
            `trim_observations`); None if the observations are too large or not needed.
        taps: [..., U] the activations of each recorded tap at the stored steps, by the tap's name.
        n_steps: the number of steps that ran; None if S = 1.
        step_feedback: the feedback at every step, 0 at idle steps; None if S = 1.
    """

    action: Any
    feedback: Any
    score: Any
    partner: Any
    log_probs: Any
    observation: Any
    taps: Any
    n_steps: Any = None
    step_feedback: Any = None


class Step(NamedTuple):
    """The record of one step: arrays with leading axis N.

    Attributes:
        action: the action of each lifetime.
        score: the expected pay-off of the action.
        feedback: the feedback after the action.
        log_probs: [N, K] the log-probabilities of all actions; None if the subject does not report them.
        taps: [N, U] the activations of each recorded tap, by the tap's name.
    """

    action: Any
    score: Any
    feedback: Any
    log_probs: Any
    taps: Any


class Outcomes(NamedTuple):
    """The outcomes of donors, which the subjects of other lifetimes observe in place of their own.

    Attributes:
        feedback: [T·S, N] the feedback at every step, 0 at idle steps.
        observation: [T·S, N, D] the observation before every step.
    """

    feedback: Any
    observation: Any


class Job(NamedTuple):
    """A block of lifetimes to run under a condition, with the outcomes of the donors."""

    address: BlockAddress
    condition: Condition
    donor_outcomes: Outcomes


class BlockState(NamedTuple):
    """The state of a block between two steps.

    Attributes:
        state: the hidden state of the tasks.
        percept: the percept before the next step.
        carry: the subject's carry.
        second_carry: the condition's second carry; in a Python loop, a list with the second carry of every condition.
        recent_steps: the last steps in a compiled scan, on a leading axis: their percepts if S = 1, otherwise a
            `PastStep`. () in a Python loop, and if S > 1 and no condition looks back.
    """

    state: Any
    percept: Percept
    carry: Any
    second_carry: Any
    recent_steps: Any


class PastStep(NamedTuple):
    """What a condition may need to know about a past step of a block.

    Attributes:
        percept: the percept at that step.
        is_idle: [N] whether each lifetime was idle; None if lifetimes are never idle.
        last_active_step: [N] the number of the last earlier step at which each lifetime was not idle, -1 before the
            first step; None if lifetimes are never idle.
    """

    percept: Percept
    is_idle: Any = None
    last_active_step: Any = None


def read_outcomes(record: Record) -> Outcomes:
    """Reads, from the record of a block of donors, the outcomes that other lifetimes observe."""
    if record.step_feedback is None:
        return Outcomes(record.feedback, record.observation)
    feedback, observation = np.asarray(record.step_feedback), record.observation
    observation = np.zeros((*feedback.shape, 0), np.float32) if observation is None else np.asarray(observation)
    return Outcomes(feedback.reshape(-1, feedback.shape[-1]), np.concatenate(list(observation)))


def trim_observations(record: Record, condition: Condition, should_keep_all: bool) -> Record:
    """Removes unused observations from the record of trials with several steps.

    If the worth of actions under the condition is recorded, the observations before the first steps [T, N, D] remain,
    because the worth is computed from them. Under the intact condition, all observations remain if `should_keep_all`.
    Under other conditions, no observations remain.
    """
    if condition.is_worth_recorded:
        return record._replace(observation=record.observation[:, 0])
    return record if should_keep_all and type(condition) is Intact else record._replace(observation=None)


def are_donor_observations_needed(family: Family) -> bool:
    """Checks whether other lifetimes need the donors' observations besides the donors' feedback.

    They do if the family overrides `with_outcome`, because its observations show the outcome.
    """
    return type(family).with_outcome is not Family.with_outcome


def should_keep_observations(family: Family, trial_count: int) -> bool:
    """Checks whether all observations of lifetimes with this many trials are few enough to be kept in the record.

    They are not if the family has more than `MAX_STORED_STEPS` steps in a trial, so that not all steps are stored.
    """
    size = trial_count * family.steps * math.prod(family.observation_shape)
    return family.steps <= MAX_STORED_STEPS and size <= MAX_STORED_NUMBERS


def make_empty_outcomes(family: Family, split: str) -> Outcomes:
    """Makes zeros in place of donors' outcomes, for lifetimes on this split."""
    shape = (family.get_split(split).trial_count * family.steps, BLOCK_SIZE)
    observation_shape = (
        *shape,
        *(family.observation_shape if family.steps == 1 or are_donor_observations_needed(family) else (0,)),
    )
    if not family.is_traceable:  # not used, but large if observations are images, so the array takes no memory
        return Outcomes(np.zeros(shape, np.float32), np.broadcast_to(np.float32(0), observation_shape))
    return Outcomes(np.zeros(shape, np.float32), np.zeros(observation_shape, np.float32))


@dataclasses.dataclass(frozen=True)
class BlockConstants:
    """The values that are constant in a block, from which `make_context` makes a condition's context at every step.

    Attributes:
        family: the family of the tasks.
        tasks: the tasks of the block.
        fresh_carry: the carry of the block's lifetimes before their first percept.
        first_percept: the first percept of each lifetime.
        donor_outcomes: the outcomes of the block's donors at every step.
        make_key: make_key(purpose, step number) makes the block's random key (see `MakeKey`).
        subject: the subject; in a Python loop, a traceable subject is replaced by its compiled form.
        repeat: a function that repeats a function in a loop, as in `ConditionContext`.
    """

    family: Family
    tasks: Any
    fresh_carry: Any
    first_percept: Percept
    donor_outcomes: Outcomes
    make_key: MakeKey
    subject: Any
    repeat: RepeatFunction

    def make_context(self, t: Any, s: Any, partner: Any, get_past_step: Callable[[Any], PastStep]) -> ConditionContext:
        """Makes the context of a condition at step s of trial t.

        `partner` [N] contains the indices of the partners, and get_past_step(i) returns the `PastStep` of i steps ago.
        """
        family, steps = self.family, self.family.steps
        now = t if steps == 1 else t * steps + s

        def exchange(i, percept):
            last = get_past_step(i).last_active_step
            last = now - 1 - i if last is None else last
            at, before = (max(x, 0) if isinstance(x, int) else jnp.clip(x, 0) for x in (now - i, last))
            feedback = self.donor_outcomes.feedback
            feedback = feedback[before][partner] if jnp.ndim(before) == 0 else feedback[before, partner]
            return family.with_outcome(percept, feedback, self.donor_outcomes.observation[at][partner])

        def repeat_step(i, carry, percept):
            after, idle = (
                self.subject.update_carry(self.make_key("act", now - i), carry, percept),
                get_past_step(i).is_idle,
            )
            return after if idle is None else select(idle, carry, after)

        flip: Callable[[Percept], Percept] = family.with_opposite_outcome
        if isinstance(family, HasOppositesByTask):
            flip = functools.partial(family.with_opposite_outcome_of, self.tasks)
        begins = True if steps == 1 else s == 0
        return ConditionContext(
            trial=t,
            draw_key=lambda: self.make_key("disturb", now),
            fresh_carry=self.fresh_carry,
            first_percept=self.first_percept,
            get_past_percept=lambda i: get_past_step(i).percept,
            partners=partner,
            exchange_outcome=exchange,
            flip_outcome=flip,
            mark_as_first=lambda percept: family.mark_as_first(percept, self.first_percept),
            choices=family.choices,
            steps=steps,
            step=s,
            is_trial_start=begins,
            is_start_of_trial=lambda at: t == at if steps == 1 else (t == at) & begins,
            get_response_key=lambda i: self.make_key("act", now - i),
            respond=self.subject.respond,
            respond_in_past=repeat_step,
            repeat=self.repeat,
            update_carry=self.subject.update_carry,
        )


def restore_idle(is_idle: Any, block_before: BlockState, block_after: BlockState) -> BlockState:
    """Returns the block after a step, with the old state, percept and carry in the lifetimes [N] that are idle."""
    names = ("state", "percept", "carry")
    return block_after._replace(
        **{k: select(is_idle, getattr(block_before, k), getattr(block_after, k)) for k in names}
    )


def clear_idle(is_idle: Any, is_real: bool, step: Step) -> Step:
    """Replaces the values of idle lifetimes in the record of a step.

    Their action becomes -1 (NaN if actions are real), their score and feedback 0, and all else NaN. `is_idle` [N] says
    which lifetimes are idle.
    """
    xp = np if isinstance(is_idle, np.ndarray) else jnp

    def blank(x, value=xp.nan):
        return xp.where(is_idle.reshape(is_idle.shape + (1,) * (x.ndim - 1)), value, x).astype(x.dtype)

    action, score, paid = (
        blank(step.action, xp.nan if is_real else -1),
        blank(step.score, 0.0),
        blank(step.feedback, 0.0),
    )
    return Step(action, score, paid, *jax.tree.map(blank, (step.log_probs, step.taps)))


def is_undisturbed(condition: Condition) -> bool:
    """Checks whether the lifetime continues undisturbed under this condition, apart from single responses."""
    return type(condition) is Intact or bool(condition.is_one_step)


def make_present_only_lookup(present: PastStep) -> Callable[[Any], PastStep]:
    """Makes get_past_step(i) for conditions that do not look back: it returns the present step for i = 0.

    For any other i, it raises `MesascopeError`.
    """

    def get_past_step(i: Any) -> PastStep:
        if isinstance(i, int) and i == 0:
            return present
        problem = "A condition uses past percepts of trials with several steps, but does not set `looks_back`."
        raise MesascopeError(problem, "Give the condition the class variable looks_back = True.")

    return get_past_step
