"""Detects subjects whose lifetimes depend on each other or on memory outside the carry."""

import contextlib
import pickle
from collections.abc import Sequence
from typing import Any, NoReturn

import jax
import numpy as np

from mesascope.contracts import Condition, Family, Percept, Response, Subject, copy_carry, take_rows
from mesascope.errors import MesascopeError
from mesascope.guards.identity import hash_array
from mesascope.keys import derive_key
from mesascope.precision import use_single_precision
from mesascope.rollouts.blocks import BLOCK_SIZE
from mesascope.rollouts.replays import make_response_key, read_percepts_by_trial, replay_block
from mesascope.rollouts.rollouts import collect_block_percepts, rollout, strip_identity

N_COMPARED_STEPS = 64  # the number of steps that are compared if trials have several steps
TOLERANCE = 1e-4  # the tolerance for probabilities, because the order of a batch may change rounding errors
N_REPEATED_TRIALS = 16  # the number of trials, besides the first eight, on which each response is requested twice
N_REPLAYS = 24  # the number of replays of each block, used if draws differ and their distributions are compared
N_SHUFFLES = 4000  # the number of permutations in the permutation test
SIGNIFICANCE_LEVEL = 1e-3  # the significance level of the permutation test


@use_single_precision()
def refuse_leaks(subject: Subject, family: Family, seed: int = 0, condition_examples: Sequence[Condition] = ()) -> None:
    """Raises `MesascopeError` if a subject's actions depend on other lifetimes or on earlier calls.

    A subject that runs in a Python loop must respond in the same way after another block has run, and also if a request
    is repeated after calls for other lifetimes. A lifetime's probabilities must not change if the other lifetimes in
    its block are replaced, or if the order of the block changes. If a subject reports no probabilities, its actions
    must not change if the other lifetimes are replaced, and the order is not tested. In a Python loop, random draws may
    differ between two blocks, for example because another lifetime uses a different number of draws. The probabilities
    or actions of several replays must then have the same distribution in both blocks. A subject with
    `has_separate_rows` is not tested.

    Args:
        subject: the subject to test.
        family: the family on which the subject is tested.
        seed: the seed of the tasks and draws.
        condition_examples: one example of every kind of condition that later rollouts use, so that the scan compiles
            only once.

    Raises:
        MesascopeError: the actions depend on other lifetimes or calls, or the subject writes into a carry or percept.
            The message names the cause; for actions, the message also says how much they differ.
    """
    if subject.has_separate_rows:
        return
    key = derive_key(jax.random.key(seed), "lives", 0)
    block, other_block = _run_two_blocks(subject, family, seed, condition_examples)
    responses = replay_block(subject, block, key)
    if not subject.is_traceable:
        replay_block(subject, other_block, derive_key(key, "another"))
        if difference := _describe_difference(responses, replay_block(subject, block, key)):
            _raise_dependence_error(subject, "an earlier block", difference)
        _refuse_impure(subject, block, other_block, key)
    half = np.arange(BLOCK_SIZE // 2)
    # copies of the lifetime with the highest pay-off in the other block replace the second half of the block
    best_rows = np.full(BLOCK_SIZE // 2, other_block.feedback.sum(0).argmax())
    mixed_block = jax.tree.map(lambda x, y: np.concatenate([x[:, half], y[:, best_rows]], 1), block, other_block)
    _refuse_block_dependence(subject, "the other lifetimes in its block", key, block, responses, mixed_block, half)
    if responses.log_probs is not None:
        order = np.roll(np.arange(BLOCK_SIZE), 7)
        reordered = Percept(*(field[:, order] for field in block))
        _refuse_block_dependence(
            subject, "the order of its lifetimes", key, block, responses, reordered, np.argsort(order)
        )


def _run_two_blocks(subject, family, seed, condition_examples) -> tuple[Percept, Percept]:
    """Runs two blocks of lifetimes and returns the percepts of each block, in fields with axes step, lifetime.

    If trials have several steps, only the percepts at the first `N_COMPARED_STEPS` steps of the lifetimes are returned.
    """
    if family.steps > 1:  # the start of a lifetime is enough, and may contain idle steps
        arguments = subject, strip_identity(family), "fresh"
        one, two = (collect_block_percepts(*arguments, (block,), seed, n_steps=N_COMPARED_STEPS) for block in (0, 1))
        return one, two
    record = rollout(subject, family, "fresh", 2 * BLOCK_SIZE, seed, condition_examples=condition_examples).sel(
        condition="intact"
    )
    one, two = (
        read_percepts_by_trial(record.isel(lifetime=rows)) for rows in (slice(BLOCK_SIZE), slice(BLOCK_SIZE, None))
    )
    return one, two


def _raise_dependence_error(subject: Subject, cause: str, difference: str) -> NoReturn:
    """Raises the error for a subject whose behaviour depends on `cause`, with a description of the difference."""
    remedy = "Keep all memory in the carry (a function's state), one row per lifetime, "
    remedy += "and draw only from the key that is passed in."
    raise MesascopeError(f"The behaviour of {subject.name} depends on {cause}: {difference}.", remedy)


def _describe_difference(response: Response, other_response: Response) -> str:
    """Describes how two responses to the same percepts differ; '' if they agree up to rounding errors."""
    if response.log_probs is not None and other_response.log_probs is not None:
        difference = np.abs(np.exp(response.log_probs) - np.exp(other_response.log_probs)).max()
        return "" if difference <= TOLERANCE else f"a probability changes by {difference:.3f}"
    first, second = np.asarray(response.action), np.asarray(other_response.action)
    # real actions may have different rounding errors
    tolerance = TOLERANCE * (1 + np.abs(first)) if first.dtype.kind == "f" else 0
    difference = (np.abs(first - second) > tolerance).mean()
    return "" if difference == 0 else f"{difference:.0%} of the actions change"


def _refuse_impure(subject: Subject, block: Percept, other_block: Percept, key: jax.Array) -> None:
    """Raises `MesascopeError` if a subject responds differently to the same request after calls for other lifetimes.

    The function also raises an error if the subject writes into a carry or a percept.
    """
    carry, length, cause = subject.initialize_carry(BLOCK_SIZE), len(block.action), "calls for other lifetimes"
    repeated_trials = {*range(8), *np.linspace(0, length - 1, N_REPEATED_TRIALS).astype(int).tolist()}
    for t in range(length):
        now, key_now = _select_step(block, t), make_response_key(key, t)
        if t not in repeated_trials:
            carry, _ = subject.respond(key_now, carry, now)
            continue
        carry_copy, input_hashes = copy_carry(carry), _hash_leaves((carry, now))
        after, first = subject.respond(key_now, carry, now)
        first, saved, after_hashes = jax.tree.map(np.array, first), copy_carry(after), _hash_leaves(after)
        foreign_carry, _ = subject.respond(
            derive_key(key, "foreign", t), subject.initialize_carry(BLOCK_SIZE), _select_step(other_block, 0)
        )
        subject.respond(derive_key(key, "foreign", t), foreign_carry, _select_step(other_block, (t + 7) % length))
        if _hash_leaves((carry, now)) != input_hashes or _hash_leaves(after) != after_hashes:
            problem = f"{subject.name} writes into a carry or a percept that it received or returned."
            raise MesascopeError(problem, "Return a new carry each time, and never change a carry or percept.")
        second_carry, second = subject.respond(key_now, carry_copy, now)
        if difference := _describe_difference(first, second):
            _raise_dependence_error(subject, cause, f"after the same request again, {difference}")
        if not _are_carries_equal(saved, second_carry):
            _raise_dependence_error(subject, cause, "after the same request again, the carry is different")
        carry = saved


def _select_step(block: Percept, t: int) -> Percept:
    """Selects the percepts of a block at step t, in fields with axis lifetime, from fields with axes step, lifetime."""
    return Percept(*(field[t] for field in block))


def _hash_leaves(tree: Any) -> list[Any]:
    """Computes a hash of each leaf of a pytree (pickles if it contains objects), to detect writes.

    Leaves with objects that cannot be pickled are left out.
    """
    hashes = []
    for leaf in map(np.asarray, jax.tree.leaves(tree)):
        with contextlib.suppress(Exception):  # an object may raise anything when it is pickled
            hashes.append([pickle.dumps(x) for x in leaf.flat] if leaf.dtype == object else hash_array(leaf))
    return hashes


def _are_carries_equal(carry: Any, other_carry: Any) -> bool:
    """Checks whether two carries are equal up to rounding errors; the contents of objects are not compared."""
    (first, structure), (second, other_structure) = jax.tree.flatten(carry), jax.tree.flatten(other_carry)
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(first, second, strict=False)]
    return structure == other_structure and all(
        a.shape == b.shape and (a.dtype.kind not in "fiub" or np.allclose(a, b, TOLERANCE, TOLERANCE, equal_nan=True))
        for a, b in pairs
    )


def _refuse_block_dependence(
    subject, cause: str, key, first_block: Percept, responses: Response, second_block: Percept, second_rows
) -> None:
    """Raises `MesascopeError` if the subject acts differently in the same lifetimes in another block.

    Args:
        subject: the subject to test.
        cause: the difference between the blocks, for the message, such as 'the order of its lifetimes'.
        key: the random key of the draws.
        first_block: the percepts of the first block. Its first lifetimes are compared, as many as `second_rows` has
            elements.
        responses: the responses to the percepts of the first block.
        second_block: the percepts of the second block.
        second_rows: the rows of the compared lifetimes in the second block.
    """

    first_rows = np.arange(len(second_rows))
    difference = _describe_difference(
        take_rows(responses, first_rows), take_rows(replay_block(subject, second_block, key), second_rows)
    )
    if not difference:
        return
    if not subject.is_traceable:
        replays = []
        for i in range(2 * N_REPLAYS):
            block, rows = (first_block, first_rows) if i < N_REPLAYS else (second_block, second_rows)
            replays.append(take_rows(replay_block(subject, block, derive_key(key, "apart", i)), rows))
        if _have_same_distribution(jax.tree.map(lambda *parts: np.stack(parts), *replays)):
            return
    _raise_dependence_error(subject, cause, difference)


def _have_same_distribution(replays: Response) -> bool:
    """Checks whether the first and the second half of several replays of lifetimes have the same distribution.

    The fields of `replays` have axes replay, lifetime and step. A permutation test compares the means of both halves.
    The test permutes whole replays, so actions may be correlated within a replay, because of memory in a carry or
    because the lifetimes share a random generator.
    """
    if replays.log_probs is not None:
        outcomes = np.exp(replays.log_probs)
    elif replays.action.dtype.kind == "f":
        outcomes = replays.action
    else:
        outcomes = replays.action[..., None] == np.arange(replays.action.max() + 1)
    outcomes = outcomes.reshape(len(outcomes), -1).astype(np.float64)
    outcomes -= outcomes.mean(0)
    sides = np.repeat([1.0, -1.0], len(outcomes) // 2)
    shuffled = np.random.default_rng(0).permuted(np.tile(sides, (N_SHUFFLES, 1)), axis=1)
    distance = np.square(sides @ outcomes).sum()
    shuffled_distances = np.einsum("si,ij,sj->s", shuffled, outcomes @ outcomes.T, shuffled)
    return (1 + (shuffled_distances >= distance * (1 - 1e-9)).sum()) / (1 + N_SHUFFLES) > SIGNIFICANCE_LEVEL
