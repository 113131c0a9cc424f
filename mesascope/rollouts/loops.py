"""Runs a block of lifetimes trial by trial in Python, for a subject or family that JAX cannot trace."""

import collections
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import READABLE_PERCEPTS, Family, Intact, Percept, Subject, select
from mesascope.rollouts import blocks
from mesascope.rollouts.blocks import BLOCK_SIZE, BlockConstants, BlockState, Job, PastStep, Record, Step
from mesascope.trials import choose_stored_steps


def run_in_loop(
    subject, family, tasks, make_key, jobs: Sequence[Job], partners, *, recorded_taps, should_keep_observations: bool
) -> list[Record]:
    """Runs one block of lifetimes under one condition, or under several conditions that share the lifetimes.

    Conditions under which the lifetimes continue undisturbed share one run of these lifetimes.

    Args:
        subject: the subject to run.
        family: the family of the tasks.
        tasks: the tasks of the block.
        make_key: make_key(purpose, step number) makes the block's random key (see `MakeKey`).
        jobs: one job, or several jobs whose conditions are intact or disturb one response at a time.
        partners: for each job, the indices of the partners [T, N] on T trials of N lifetimes.
        recorded_taps: the names of the taps to record.
        should_keep_observations: whether to record the observation before every step under the intact condition, if
            trials have several steps.

    Returns:
        One record per condition, in NumPy arrays.
    """
    subject, runner = _CompiledSubject(subject) if subject.is_traceable else subject, _FamilyRunner(family, tasks)
    state, start = runner.begin(make_key("begin"))
    fresh, steps, is_real = subject.initialize_carry(BLOCK_SIZE), family.steps, family.choices is None

    def repeat(low, high, body, carry):
        for i in range(int(low), int(high)):
            carry = body(i, carry)
        return carry

    constants = [
        BlockConstants(family, tasks, fresh, start, job.donor_outcomes, make_key, subject, repeat) for job in jobs
    ]
    conditions: list[Any] = [job.condition for job in jobs]
    is_undisturbed = all(blocks.is_undisturbed(c) for c in conditions)
    looks_back = any(c.looks_back for c in conditions) or steps == 1
    recent_steps = collections.deque(maxlen=READABLE_PERCEPTS * steps if looks_back else 1)  # newest first

    def get_past_step(i):
        return recent_steps[int(i)] if int(i) < len(recent_steps) else PastStep(start)

    def run_step(block: BlockState, t: int, s: int, is_idle: Any, last_active_step: Any):
        now = t * steps + s
        present = PastStep(block.percept, is_idle, last_active_step)
        recent_steps.appendleft(present)
        intact_answer = subject.respond(make_key("act", now), block.carry, block.percept) if is_undisturbed else None
        visible_past = get_past_step if looks_back else blocks.make_present_only_lookup(present)
        second_carries, answers = list(block.second_carry), []
        for i, condition in enumerate(conditions):
            context = constants[i].make_context(t, s, partners[i][t], visible_past)
            carry, percept, second_carries[i] = condition.apply(block.carry, block.percept, second_carries[i], context)
            is_same = carry is block.carry and percept is block.percept and (s > 0 or type(condition) is Intact)
            shared = intact_answer if is_same else None
            answers.append(shared or subject.respond(make_key("act", now), carry, percept))
        carry, response = intact_answer or answers[0]
        state, percept, score = runner.step(make_key("pay", now), block.state, response.action, is_idle)
        score, paid = np.asarray(score), np.asarray(percept.feedback)
        records = [_record_step(subject, answer, score, paid, recorded_taps) for answer in answers]
        after = BlockState(state, percept, carry, second_carries, ())
        if is_idle is None or not is_idle.any():
            return after, records
        records = [blocks.clear_idle(is_idle, is_real, step) for step in records]
        if not family.is_traceable:  # the `step` of such a family does not change the state of idle lifetimes
            lasting = blocks.restore_idle(is_idle, block._replace(state=()), after._replace(state=()))
            return lasting._replace(state=state), records
        return blocks.restore_idle(is_idle, block, after), records

    block, records_by_condition = BlockState(state, start, fresh, [fresh] * len(jobs), ()), [[] for _ in jobs]
    last_active_step = None if steps == 1 or family.find_idle(state) is None else np.full(BLOCK_SIZE, -1)
    for t in range(len(partners[0])):
        if steps == 1:
            observation = block.percept.observation
            block, trial_steps = run_step(block, t, 0, None, None)
            for i, step in enumerate(trial_steps):
                rest = step.log_probs, observation, step.taps
                records_by_condition[i].append(Record(step.action, step.feedback, step.score, partners[i][t], *rest))
            continue
        trial_steps, first_observation = [], block.percept.observation
        for s in range(steps):
            idle = family.find_idle(block.state) if s else None
            idle = None if idle is None else np.asarray(idle)
            if idle is not None and idle.all():
                break
            observation = block.percept.observation if should_keep_observations else None
            block, step = run_step(block, t, s, idle, last_active_step)
            awake = np.ones(BLOCK_SIZE, bool) if idle is None else ~idle
            last_active_step = (
                last_active_step if last_active_step is None else np.where(awake, t * steps + s, last_active_step)
            )
            trial_steps.append((step, observation, awake))
        skipped = steps - len(trial_steps)
        for _ in range(skipped if looks_back else 0):
            recent_steps.appendleft(PastStep(block.percept, np.ones(BLOCK_SIZE, bool), last_active_step))
        for i, (row, partner) in enumerate(zip(records_by_condition, partners, strict=True)):
            intact = type(conditions[i]) is Intact
            own_steps = [(step[i], shown if intact else None, awake) for step, shown, awake in trial_steps]
            joined = _join_trial(own_steps, steps, partner[t], is_real)
            row.append(joined._replace(observation=first_observation) if conditions[i].is_worth_recorded else joined)
    return [jax.tree.map(lambda *xs: np.stack(xs), *row) for row in records_by_condition]


def _record_step(subject: Any, answer: tuple[Any, Any], score: Any, feedback: Any, recorded_taps: Any) -> Step:
    """Makes the record of a step from the subject's answer (the next carry and the response)."""
    carry, (action, log_probs) = answer
    log_probs = None if log_probs is None else np.asarray(log_probs)
    taps = {k: np.asarray(v) for k, v in subject.read_taps(carry).items() if k in recorded_taps}
    return Step(np.asarray(action), score, feedback, log_probs, taps)


def _join_trial(trial_steps: list[tuple[Step, Any, Any]], steps: int, partner: Any, is_real: bool) -> Record:
    """Makes the record of a trial from the steps that ran, and pads the arrays to `steps` steps.

    Each element of `trial_steps` contains a step's record, its observation or None, and which lifetimes were not idle.
    """
    step, observation, awake = jax.tree.map(lambda *xs: np.stack(xs), *trial_steps)
    kept_rows, n_run = choose_stored_steps(steps), len(step.action)

    def pad(x, value):
        return np.concatenate([x, np.full((steps - n_run, *x.shape[1:]), value, x.dtype)])

    action = pad(step.action, np.nan if is_real else -1)[kept_rows]
    log_probs, taps = jax.tree.map(lambda x: pad(x, np.nan)[kept_rows], (step.log_probs, step.taps))
    observation, sums = None if observation is None else pad(observation, 0), (step.feedback.sum(0), step.score.sum(0))
    return Record(action, *sums, partner, log_probs, observation, taps, awake.sum(0), pad(step.feedback, 0.0))


def collect_percepts(subject, family, tasks, make_key, n_steps: int) -> Percept:
    """Runs the first steps of an undisturbed block, and returns the percepts, in fields with axes step, lifetime."""
    subject, runner = _CompiledSubject(subject) if subject.is_traceable else subject, _FamilyRunner(family, tasks)
    (state, percept), carry, percepts = runner.begin(make_key("begin")), subject.initialize_carry(BLOCK_SIZE), []
    for now in range(n_steps):
        percepts.append(percept)
        idle = family.find_idle(state) if now % family.steps else None
        idle = np.zeros(BLOCK_SIZE, bool) if idle is None else np.asarray(idle)
        after, response = subject.respond(make_key("act", now), carry, percept)
        next_state, next_percept, _ = runner.step(make_key("pay", now), state, response.action, idle)
        state = select(idle, state, next_state) if family.is_traceable else next_state
        carry = select(idle, carry, after) if idle.any() else after
        percept = select(idle, percept, next_percept)
    return jax.tree.map(lambda *xs: np.stack(xs), *percepts)


class _FamilyRunner:
    """Runs a family on given tasks, and converts the arrays of a traceable family to NumPy."""

    def __init__(self, family: Family, tasks: Any):
        self.family, self.tasks = family, tasks
        self.action_dtype = np.float32 if family.choices is None else np.int32

    def begin(self, key: Any) -> tuple[Any, Any]:
        begun = self.family.begin(key, self.tasks)
        return jax.tree.map(np.asarray, begun) if self.family.is_traceable else begun

    def step(self, key: Any, state: Any, action: Any, idle: Any = None) -> tuple[Any, Any, Any]:
        if not self.family.is_traceable:
            action = np.asarray(action, self.action_dtype)
            if idle is not None:
                action = np.where(idle, np.nan if self.action_dtype is np.float32 else -1, action).astype(
                    self.action_dtype
                )
            return self.family.step(key, self.tasks, state, action)
        state, percept, score = _step_compiled(self.family, key, self.tasks, state, jnp.asarray(action))
        return (*jax.tree.map(np.asarray, (state, percept)), score)


class _CompiledSubject:
    """A traceable subject whose single responses are compiled."""

    def __init__(self, subject: Subject):
        self.subject, self.initialize_carry, self.read_taps = subject, subject.initialize_carry, subject.read_taps

    def respond(self, key: Any, carry: Any, percept: Any) -> Any:
        return _respond_compiled(self.subject, key, carry, percept)

    def update_carry(self, key: Any, carry: Any, percept: Any) -> Any:
        return _respond_compiled(self.subject, key, carry, percept)[0]


@eqx.filter_jit
def _step_compiled(family, key, tasks, state, action):
    return family.step(key, tasks, state, action)


@eqx.filter_jit
def _respond_compiled(subject, key, carry, percept):
    return subject.respond(key, carry, percept)
