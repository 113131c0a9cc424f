"""Detects subjects whose lifetimes depend on each other or on memory outside the carry."""

import contextlib
import pickle
from collections.abc import Sequence
from typing import Any, NoReturn

import jax
import numpy as np

from mesascope.contracts.condition import Condition
from mesascope.contracts.family import Family, Percept
from mesascope.contracts.subject import Response, Subject, copy_carry
from mesascope.errors import MesascopeError
from mesascope.guards.identity import digest
from mesascope.keys import address
from mesascope.rollouts.lives import BLOCK
from mesascope.rollouts.replays import act, force, percepts_by_trial
from mesascope.rollouts.rollouts import rollout, strip_names, watch_block

WITNESSED = 64  # how many steps are compared if trials have several steps
TOLERANCE = 1e-4  # for probabilities, because batches in another order may round differently
ASKED = 16  # trials, besides the first eight, on which a response is requested twice
LIVES = 24  # replays of each block if draws differ, so that their distributions are compared
SHUFFLES = 4000
LEVEL = 1e-3


def refuse_leaks(subject: Subject, family: Family, seed: int = 0, kinds: Sequence[Condition] = ()) -> None:
    """Raises an error if a subject's actions depend on other lifetimes or on earlier calls.

    A looped subject must act the same after another block has run, and when the same request is repeated after calls
    for other lifetimes. If a lifetime's neighbours are replaced, or the order of the block is changed, the lifetime
    must keep its probabilities. A subject without probabilities must keep its actions with other neighbours; the order
    is not tested. A looped subject's draws may differ, for example because a row uses another number of draws. Then its
    whole lifetimes must have the same distribution in both blocks.

    Args:
        subject: the subject to test.
        family: the family to test it on.
        seed: the seed of the tasks and draws.
        kinds: as in `rollout`; give the kinds of later rollouts, so that the scan compiles only once.

    Raises:
        MesascopeError: the actions depend on something else, or the subject writes into its inputs. The message says
            which, and by how much the actions differ.
    """
    if subject.separate:
        return
    key = address(jax.random.key(seed), "lives", 0)
    block, other_block = _two_blocks(subject, family, seed, kinds)
    responses = force(subject, block, key)
    if not subject.traceable:
        force(subject, other_block, address(key, "another"))
        if difference := _describe_difference(responses, force(subject, block, key)):
            _refuse(subject, "an earlier block", difference)
        _refuse_impure(subject, block, other_block, key)
    half = np.arange(BLOCK // 2)
    # the lifetime with the highest pay-off replaces all neighbours
    best_paid = np.full(BLOCK // 2, other_block.feedback.sum(0).argmax())
    beside = Percept(
        *(
            np.concatenate([own[:, half], neighbour[:, best_paid]], 1)
            for own, neighbour in zip(block, other_block, strict=True)
        )
    )
    _refuse_different(subject, "the other lifetimes in its block", key, block, responses, beside, half)
    if responses.log_probs is not None:
        order = np.roll(np.arange(BLOCK), 7)
        reordered = Percept(*(field[:, order] for field in block))
        _refuse_different(subject, "the order of its lifetimes", key, block, responses, reordered, np.argsort(order))


def _two_blocks(subject, family, seed, kinds) -> tuple[Percept, Percept]:
    """The percepts of two blocks of lifetimes; only those of the first steps if trials have several steps."""
    if family.steps > 1:  # the start of a lifetime is enough, and it may contain idle steps
        home = strip_names(family)
        one, two = (watch_block(subject, home, "fresh", (block,), seed, ticks=WITNESSED) for block in (0, 1))
        return one, two
    record = rollout(subject, family, "fresh", 2 * BLOCK, seed, kinds=kinds).sel(condition="intact")
    one, two = (percepts_by_trial(record.isel(lifetime=rows)) for rows in (slice(BLOCK), slice(BLOCK, None)))
    return one, two


def _refuse(subject: Subject, cause: str, difference: str) -> NoReturn:
    raise MesascopeError(
        f"The behaviour of {subject.name} depends on {cause}: {difference}.",
        "Keep all memory in the carry (a function's state), one row per lifetime, "
        "and draw only from the key that is passed in.",
    )


def _describe_difference(one: Response, other: Response) -> str:
    """How two responses to the same percepts differ; '' if they are the same."""
    if one.log_probs is not None and other.log_probs is not None:
        difference = np.abs(np.exp(one.log_probs) - np.exp(other.log_probs)).max()
        return "" if difference <= TOLERANCE else f"a probability moves by {difference:.3f}"
    first, second = np.asarray(one.action), np.asarray(other.action)
    # a real action may round differently
    near = TOLERANCE * (1 + np.abs(first)) if first.dtype.kind == "f" else 0
    difference = (np.abs(first - second) > near).mean()
    return "" if difference == 0 else f"{difference:.0%} of the actions change"


def _refuse_impure(subject: Subject, one: Percept, other: Percept, key: jax.Array) -> None:
    """Raises an error if a subject responds differently when a request is repeated after other calls.

    The other calls are for other lifetimes. It also raises an error if the subject writes into a carry or a percept.
    """
    carry, length, cause = subject.fresh(BLOCK), len(one.action), "calls for other lifetimes"
    repeated = {*range(8), *np.linspace(0, length - 1, ASKED).astype(int).tolist()}
    for t in range(length):
        now, key_now = _at(one, t), act(key, t)
        if t not in repeated:
            carry, _ = subject.respond(key_now, carry, now)
            continue
        carry_copy, input_hashes = copy_carry(carry), _hash_leaves((carry, now))
        after, first = subject.respond(key_now, carry, now)
        first, saved, after_hashes = jax.tree.map(np.array, first), copy_carry(after), _hash_leaves(after)
        foreign_carry, _ = subject.respond(address(key, "foreign", t), subject.fresh(BLOCK), _at(other, 0))
        subject.respond(address(key, "foreign", t), foreign_carry, _at(other, (t + 7) % length))
        if _hash_leaves((carry, now)) != input_hashes or _hash_leaves(after) != after_hashes:
            problem = f"{subject.name} writes into a carry or a percept that it received or returned."
            raise MesascopeError(problem, "Return a new carry each time, and leave the others as they are.")
        second_carry, second = subject.respond(key_now, carry_copy, now)
        if difference := _describe_difference(first, second):
            _refuse(subject, cause, f"asked the same again, {difference}")
        if not _equal_carries(saved, second_carry):
            _refuse(subject, cause, "asked the same again, it remembers something else")
        carry = saved


def _at(block: Percept, t: int) -> Percept:
    return Percept(*(field[t] for field in block))


def _hash_leaves(tree: Any) -> list[Any]:
    """Hashes the leaves of a tree, to detect writes; leaves out objects that cannot be pickled."""
    hashes = []
    for leaf in map(np.asarray, jax.tree.leaves(tree)):
        with contextlib.suppress(Exception):  # an object may raise anything when it is pickled
            hashes.append([pickle.dumps(x) for x in leaf.flat] if leaf.dtype == object else digest(leaf))
    return hashes


def _equal_carries(one: Any, other: Any) -> bool:
    """Whether two carries are equal up to rounding; does not compare the contents of objects."""
    (first, kind), (second, another) = jax.tree.flatten(one), jax.tree.flatten(other)
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(first, second, strict=False)]
    return kind == another and all(
        a.shape == b.shape and (a.dtype.kind not in "fiub" or np.allclose(a, b, TOLERANCE, TOLERANCE, equal_nan=True))
        for a, b in pairs
    )


def _refuse_different(
    subject: Subject, cause: str, key: jax.Array, one: Percept, alone: Response, two: Percept, rows_there: np.ndarray
) -> None:
    """Raises an error if lifetimes act differently in another block.

    Args:
        subject: the subject to test.
        cause: what differs between the blocks.
        key: the key of the draws.
        one: a block, whose first lifetimes are compared.
        alone: the responses of that block.
        two: the other block.
        rows_there: the rows of the same lifetimes in the other block.
    """

    def respond(block: Percept, key: jax.Array, rows: Any) -> Response:
        return jax.tree.map(lambda x: np.asarray(x)[rows], force(subject, block, key))

    rows = slice(len(rows_there))
    difference = _describe_difference(jax.tree.map(lambda x: np.asarray(x)[rows], alone), respond(two, key, rows_there))
    if not difference:
        return
    if not subject.traceable:
        keys = [address(key, "apart", i) for i in range(2 * LIVES)]
        responses = [respond(*((one, k, rows) if i < LIVES else (two, k, rows_there))) for i, k in enumerate(keys)]
        if _same_distribution(jax.tree.map(lambda *parts: np.stack(parts), *responses)):
            return
    _refuse(subject, cause, difference)


def _same_distribution(lives: Response) -> bool:
    """Whether two halves of replays [R, N, T] have the same distribution, by a permutation test of their means.

    The test shuffles whole blocks of whole lifetimes, so that neither memory in a carry nor a random generator that
    lifetimes share makes the halves differ.
    """
    if lives.log_probs is not None:
        outcomes = np.exp(lives.log_probs)
    elif lives.action.dtype.kind == "f":
        outcomes = lives.action
    else:
        outcomes = lives.action[..., None] == np.arange(lives.action.max() + 1)
    outcomes = outcomes.reshape(len(outcomes), -1).astype(np.float64)
    outcomes -= outcomes.mean(0)
    sides = np.repeat([1.0, -1.0], len(outcomes) // 2)
    shuffled = np.random.default_rng(0).permuted(np.tile(sides, (SHUFFLES, 1)), axis=1)
    distance, shuffled_distances = (
        np.square(sides @ outcomes).sum(),
        np.einsum("si,ij,sj->s", shuffled, outcomes @ outcomes.T, shuffled),
    )
    return (1 + (shuffled_distances >= distance * (1 - 1e-9)).sum()) / (1 + SHUFFLES) > LEVEL
