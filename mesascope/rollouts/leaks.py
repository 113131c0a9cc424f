"""Finds subjects whose lifetimes are not apart: their memory is not in the carry, or they look at one another."""

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

WITNESSED = 64  # steps of a life in which trials have steps
TOLERANCE = 1e-4  # of probabilities: batches of another order may round otherwise
ASKED = 16  # trials, beside the first eight, at which a response is asked for twice
LIVES = 24  # of either kind, where draws differ and distributions are compared
SHUFFLES = 4000
LEVEL = 1e-3


def refuse_leaks(subject: Subject, family: Family, seed: int = 0, kinds: Sequence[Condition] = ()) -> None:
    """Raises where what a subject does depends on other lifetimes or on earlier calls.

    Looped subjects must act alike after another block, and when a response is asked for again after calls for other
    lifetimes. Beside other neighbours, all alike, and in another order a lifetime must have equal probabilities, or
    equal actions under equal keys (the order is not asked where there are no probabilities). A looped subject's draws
    may fall otherwise there, as where a row takes another number of them: then whole lives must have one distribution.

    Args:
        subject: who is tested.
        family: what it is put to.
        seed: of the tasks and draws.
        kinds: as in `rollout`; those of the rollouts to come, to compile once.

    Raises:
        MesascopeError: names what it depends on and by how much, or what it writes into.
    """
    if subject.separate:
        return
    key = address(jax.random.key(seed), "lives", 0)
    one, other = _two_blocks(subject, family, seed, kinds)
    alone = force(subject, one, key)
    if not subject.traceable:
        force(subject, other, address(key, "another"))
        if told := _moved(alone, force(subject, one, key)):
            _refuse(subject, "an earlier block", told)
        _refuse_impure(subject, one, other, key)
    half = np.arange(BLOCK // 2)
    # who was paid most, in place of all neighbours
    most = np.full(BLOCK // 2, other.feedback.sum(0).argmax())
    beside = Percept(*(np.concatenate([a[:, half], b[:, most]], 1) for a, b in zip(one, other, strict=True)))
    _refuse_otherwise(subject, "the other lifetimes in its block", key, one, alone, beside, half)
    if alone.log_probs is not None:
        order = np.roll(np.arange(BLOCK), 7)
        turned = Percept(*(field[:, order] for field in one))
        _refuse_otherwise(subject, "the order of its lifetimes", key, one, alone, turned, np.argsort(order))


def _two_blocks(subject, family, seed, kinds) -> tuple[Percept, Percept]:
    """What was seen in two blocks of lifetimes, as far as need be where they are long."""
    if family.steps > 1:  # the start of a life is enough, and an idle step as good as another
        home = strip_names(family)
        one, two = (watch_block(subject, home, "fresh", (block,), seed, ticks=WITNESSED) for block in (0, 1))
        return one, two
    record = rollout(subject, family, "fresh", 2 * BLOCK, seed, kinds=kinds).sel(condition="intact")
    one, two = (percepts_by_trial(record.isel(lifetime=rows)) for rows in (slice(BLOCK), slice(BLOCK, None)))
    return one, two


def _refuse(subject: Subject, of: str, told: str) -> NoReturn:
    raise MesascopeError(
        f"What {subject.name} does depends on {of}: {told}.",
        "Keep all memory in the carry (a function's state), one row per lifetime, "
        "and draw only from what is handed in.",
    )


def _moved(one: Response, other: Response) -> str:
    """How far two answers to the same question are apart, '' where they are the same."""
    if one.log_probs is not None and other.log_probs is not None:
        moved = np.abs(np.exp(one.log_probs) - np.exp(other.log_probs)).max()
        return "" if moved <= TOLERANCE else f"a probability moves by {moved:.3f}"
    first, second = np.asarray(one.action), np.asarray(other.action)
    # a real action may round otherwise
    near = TOLERANCE * (1 + np.abs(first)) if first.dtype.kind == "f" else 0
    moved = (np.abs(first - second) > near).mean()
    return "" if moved == 0 else f"{moved:.0%} of the actions change"


def _refuse_impure(subject: Subject, one: Percept, other: Percept, key: jax.Array) -> None:
    """Asks twice with the same key, carry and percept, and for other lifetimes in between."""
    carry, trials, of = subject.fresh(BLOCK), len(one.action), "calls for other lifetimes"
    asked = {*range(8), *np.linspace(0, trials - 1, ASKED).astype(int).tolist()}
    for t in range(trials):
        now, own = _at(one, t), act(key, t)
        if t not in asked:
            carry, _ = subject.respond(own, carry, now)
            continue
        again, handed = copy_carry(carry), _marked((carry, now))
        after, first = subject.respond(own, carry, now)
        first, kept, given = jax.tree.map(np.array, first), copy_carry(after), _marked(after)
        begun, _ = subject.respond(address(key, "foreign", t), subject.fresh(BLOCK), _at(other, 0))
        subject.respond(address(key, "foreign", t), begun, _at(other, (t + 7) % trials))
        if _marked((carry, now)) != handed or _marked(after) != given:
            raise MesascopeError(
                f"{subject.name} writes into a carry or a percept that it was handed or has handed out.",
                "Return a new carry each time, and leave the others as they are.",
            )
        remembered, second = subject.respond(own, again, now)
        if told := _moved(first, second):
            _refuse(subject, of, f"asked the same again, {told}")
        if not _alike(kept, remembered):
            _refuse(subject, of, "asked the same again, it remembers something else")
        carry = kept


def _at(block: Percept, t: int) -> Percept:
    return Percept(*(field[t] for field in block))


def _marked(tree: Any) -> list[Any]:
    """What tells whether anything in a tree of arrays was written into; objects that cannot be pickled tell nothing."""
    out = []
    for leaf in map(np.asarray, jax.tree.leaves(tree)):
        with contextlib.suppress(Exception):  # of the objects' own
            out.append([pickle.dumps(x) for x in leaf.flat] if leaf.dtype == object else digest(leaf))
    return out


def _alike(one: Any, other: Any) -> bool:
    """Whether two carries are the same, but for rounding and for what objects hold."""
    (first, kind), (second, another) = jax.tree.flatten(one), jax.tree.flatten(other)
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(first, second, strict=False)]
    return kind == another and all(
        a.shape == b.shape
        and (a.dtype.kind not in "fiub" or np.allclose(a, b, TOLERANCE, TOLERANCE, equal_nan=True))
        for a, b in pairs
    )


def _refuse_otherwise(
    subject: Subject, of: str, key: jax.Array, one: Percept, alone: Response, two: Percept, where: np.ndarray
) -> None:
    """Raises where lifetimes act otherwise in another block.

    Args:
        subject: who is tested.
        of: what differs between the blocks.
        key: of the draws.
        one: a block; its first lifetimes are looked at.
        alone: what they did there.
        two: the other block.
        where: the same lifetimes in it.
    """

    def lived(block: Percept, key: jax.Array, rows: Any) -> Response:
        return jax.tree.map(lambda x: np.asarray(x)[rows], force(subject, block, key))

    rows = slice(len(where))
    told = _moved(jax.tree.map(lambda x: np.asarray(x)[rows], alone), lived(two, key, where))
    if not told:
        return
    if not subject.traceable:
        keys = [address(key, "apart", i) for i in range(2 * LIVES)]
        lives = [lived(*((one, k, rows) if i < LIVES else (two, k, where))) for i, k in enumerate(keys)]
        if _of_one_kind(jax.tree.map(lambda *parts: np.stack(parts), *lives)):
            return
    _refuse(subject, of, told)


def _of_one_kind(lives: Response) -> bool:
    """Whether the first half of some lives [R, N, T] is distributed as the second: a permutation test of their means.

    Whole lives of whole blocks are shuffled, so that what is kept in a carry and a generator that lifetimes share are
    no evidence.
    """
    if lives.log_probs is not None:
        told = np.exp(lives.log_probs)
    elif lives.action.dtype.kind == "f":
        told = lives.action
    else:
        told = lives.action[..., None] == np.arange(lives.action.max() + 1)
    told = told.reshape(len(told), -1).astype(np.float64)
    told -= told.mean(0)
    sides = np.repeat([1.0, -1.0], len(told) // 2)
    shuffled = np.random.default_rng(0).permuted(np.tile(sides, (SHUFFLES, 1)), axis=1)
    apart, others = np.square(sides @ told).sum(), np.einsum("si,ij,sj->s", shuffled, told @ told.T, shuffled)
    return (1 + (others >= apart * (1 - 1e-9)).sum()) / (1 + SHUFFLES) > LEVEL
