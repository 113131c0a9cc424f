"""Runs a block of lifetimes as one compiled scan, for subjects and families that JAX can trace."""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import READABLE_PERCEPTS
from mesascope.keys import derive_key
from mesascope.rollouts import blocks, compiling
from mesascope.rollouts.blocks import BLOCK_SIZE, BlockConstants, BlockState, PastStep, Record, Step
from mesascope.trials import choose_stored_steps


def run_in_scan(subject, family, inputs, condition, examples, *, trials, recorded_taps) -> list[Record]:
    """Runs blocks under one condition in one call.

    Args:
        subject: the subject to run.
        family: the family of the tasks.
        inputs: for each block, its random key, its tasks, the donors' outcomes, and the partners [T, N] of its N
            lifetimes.
        condition: the condition to run.
        examples: one condition of every class that the compiled scan includes.
        trials: T, the number of trials.
        recorded_taps: the names of the taps to record.

    Returns:
        One record per block, in NumPy arrays.
    """
    kinds = tuple(condition if type(condition) is type(k) else k for k in examples)
    condition_index = np.asarray([type(condition) is type(k) for k in examples]).argmax().astype(np.int32)
    scan_options: Any = {"kinds": jax.tree.map(_cast_number, kinds), "trials": trials}
    if len(inputs) == 1:
        return [
            jax.device_get(
                _run_block_compiled(
                    subject,
                    family,
                    inputs[0],
                    **scan_options,
                    condition_index=condition_index,
                    recorded_taps=recorded_taps,
                )
            )
        ]
    stacked = jax.tree.map(_stack, *inputs)
    records = jax.device_get(
        _run_blocks_in_scan(
            subject, family, stacked, **scan_options, condition_index=condition_index, recorded_taps=recorded_taps
        )
    )
    return [jax.tree.map(operator.itemgetter(i), records) for i in range(len(inputs))]


def _stack(*x: Any) -> Any:
    return np.stack(x) if isinstance(x[0], np.ndarray) else jnp.stack(x)


def _cast_number(x: Any) -> np.ndarray:
    """Converts a number in a condition to an array of the type that JAX would use."""
    x = np.asarray(x)
    return x.astype(np.int32 if x.dtype.kind == "i" else np.float32 if x.dtype.kind == "f" else x.dtype)


@compiling.compile_loop
def _run_blocks_in_scan(subject, family, inputs, *, kinds, condition_index, trials, recorded_taps) -> Record:
    """Runs blocks under one condition; all arrays in `inputs` and in the record have a leading axis of blocks."""

    def run_block(block):
        return _run_block_in_scan(
            subject,
            family,
            block,
            kinds=kinds,
            condition_index=condition_index,
            trials=trials,
            recorded_taps=recorded_taps,
        )

    return jax.vmap(run_block)(inputs)


def _run_block_in_scan(subject, family, block, *, kinds, condition_index, trials, recorded_taps) -> Record:
    """Runs one block under one condition as one scan; JAX traces the condition's numbers and the index of its kind."""
    key, tasks, donor_outcomes, partners = block
    state, start = family.begin(derive_key(key, "begin"), tasks)
    fresh = subject.initialize_carry(BLOCK_SIZE)
    one_step = jnp.asarray([k.is_one_step for k in kinds])[condition_index]
    keys = functools.partial(derive_key, key)

    def repeat(low, high, body, carry):
        return jax.lax.fori_loop(low, jnp.asarray(high, jnp.int32), body, carry)

    constants = BlockConstants(family, tasks, fresh, start, donor_outcomes, keys, subject, repeat)

    def run_step(block: BlockState, context, step):
        """Runs one step; returns the state of the block after this step, and the record of the disturbed response."""

        def disturb(kind):
            return lambda: kind.apply(block.carry, block.percept, block.second_carry, context)

        def respond_undisturbed():
            next_carry, response = subject.respond(derive_key(key, "act", step), block.carry, block.percept)
            return next_carry, response.action

        carry, percept, second_carry = jax.lax.switch(condition_index, [disturb(k) for k in kinds])
        after, response = subject.respond(derive_key(key, "act", step), carry, percept)
        next_carry, action = jax.lax.cond(one_step, respond_undisturbed, lambda: (after, response.action))
        state, percept, score = family.step(derive_key(key, "pay", step), tasks, block.state, action)
        taps = {k: v for k, v in subject.read_taps(after).items() if k in recorded_taps}
        result = Step(response.action, score, percept.feedback, response.log_probs, taps)
        return BlockState(state, percept, next_carry, second_carry, block.recent_steps), result

    def run_trial(block_before: BlockState, xs):
        t, partner = xs
        recent = jax.tree.map(
            lambda old, new: jnp.concatenate([new[None], old[:-1]]), block_before.recent_steps, block_before.percept
        )
        context = constants.make_context(t, 0, partner, lambda i: PastStep(jax.tree.map(lambda x: x[i], recent)))
        after, (action, score, paid, log_probs, taps) = run_step(block_before._replace(recent_steps=recent), context, t)
        return after, Record(action, paid, score, partner, log_probs, block_before.percept.observation, taps)

    def run_stepwise_trial(state_and_tick, xs):
        t, partner = xs

        def step(state_and_tick, s):
            before, last = state_and_tick
            now, idle = t * family.steps + s, family.find_idle(before.state)
            idle = None if idle is None else idle & (s > 0)
            present = PastStep(before.percept, idle, last)
            newest = present if looks_back else ()
            recent = jax.tree.map(lambda old, new: old.at[now % len(old)].set(new), before.recent_steps, newest)

            def get_past_step(i):
                return jax.tree.map(lambda x: x[(now - i) % len(x)], recent)

            context = constants.make_context(
                t, s, partner, get_past_step if looks_back else blocks.make_present_only_lookup(present)
            )
            after, result = run_step(before._replace(recent_steps=recent), context, now)
            if idle is not None:
                after = blocks.restore_idle(idle, before, after)
                result = blocks.clear_idle(idle, family.choices is None, result)
                last = jnp.where(idle, last, now)
            awake = jnp.ones(BLOCK_SIZE, bool) if idle is None else ~idle
            return (after, last), (result, before.percept.observation, awake)

        state_and_tick, (result, observations, awake) = jax.lax.scan(step, state_and_tick, jnp.arange(family.steps))
        single_steps = (result.action, result.log_probs, result.taps)
        action, log_probs, taps = jax.tree.map(lambda x: x[kept_rows], single_steps)
        sums = result.feedback.sum(0), result.score.sum(0)
        return state_and_tick, Record(
            action, *sums, partner, log_probs, observations, taps, awake.sum(0), result.feedback
        )

    if family.steps == 1:
        recent = jax.tree.map(lambda x: jnp.repeat(x[None], READABLE_PERCEPTS, 0), start)
        birth = BlockState(state, start, fresh, fresh, recent)
        return jax.lax.scan(run_trial, birth, (jnp.arange(trials), partners))[1]
    kept_rows, idle = choose_stored_steps(family.steps), family.find_idle(state)
    no_idle, last = (None, None) if idle is None else (jnp.zeros(BLOCK_SIZE, bool), jnp.full(BLOCK_SIZE, -1))
    looks_back, past = any(k.looks_back for k in kinds), PastStep(start, no_idle, last)
    recent = (
        jax.tree.map(lambda x: jnp.repeat(x[None], READABLE_PERCEPTS * family.steps, 0), past) if looks_back else ()
    )
    birth = BlockState(state, start, fresh, fresh, recent)
    return jax.lax.scan(run_stepwise_trial, (birth, last), (jnp.arange(trials), partners))[1]


_run_block_compiled = compiling.compile_loop(_run_block_in_scan)
