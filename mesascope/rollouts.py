"""Puts a family's tasks to a frozen subject under conditions and returns trials.

Lifetimes run in fixed blocks of 64, the last one padded, and every block of every condition and ring goes through
the same compiled scan: adding conditions, rings or blocks changes no other trial and compiles nothing again.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.conditions import RECENT, Condition, Context, Intact
from mesascope.errors import MesascopeError
from mesascope.families import Family, Percept
from mesascope.keys import address, located
from mesascope.subjects import Response, Subject
from mesascope.trials import assemble

BLOCK = 64
WORKERS = 2
Place = tuple[str | int, ...]  # the address of a block: its number, or ('lent', draw, number) of the donors'


class Record(NamedTuple):
    """What one block leaves behind, each with leading axes T, N (log_probs and taps one more)."""

    action: Any
    feedback: Any
    score: Any
    partner: Any
    log_probs: Any
    observation: Any
    taps: Any


class Outcomes(NamedTuple):
    """What donors got: feedback [T, N] of the act at a trial, observation [T, N, D] before it."""

    feedback: Any
    observation: Any


def _told(record: Record) -> Outcomes:
    return Outcomes(record.feedback, record.observation)


def _no_outcomes(family: Family, ring: str) -> Outcomes:
    """What stands where no donors are asked for."""
    key = jax.random.key(0)
    start = jax.eval_shape(lambda: family.begin(key, family.draw(key, 1, ring))[1])
    shape = (family.trials(ring), BLOCK)
    return Outcomes(np.zeros(shape, np.float32), np.zeros((*shape, start.observation.shape[-1]), np.float32))


class Life(NamedTuple):
    """What goes from one trial to the next inside a block."""

    state: Any
    percept: Percept
    carry: Any
    shadow: Any
    recent: Any


def rollout(
    subject: Subject,
    family: Family,
    ring: str = "fresh",
    lifetimes: int = 256,
    seed: int = 0,
    conditions: Sequence[Condition] = (Intact(),),
    kinds: Sequence[Condition] | None = None,
    record: Sequence[str] = (),
    log_probs: bool = True,
    done: Callable[[int], None] = lambda units: None,
) -> xr.Dataset:
    """Lives `lifetimes` lifetimes of a ring under each condition.

    Args:
        subject: who is tested; its fingerprint is taken before and after.
        family: what it is put to.
        ring: which of the family's rings.
        lifetimes: N.
        seed: of the tasks and of all draws; conditions share their draws, so contrasts are paired.
        conditions: what is disturbed, each once; the first run of a kind decides what is compiled.
        kinds: one example of every kind of condition that the same compiled scan is to hold; by default
            those in `conditions`. Give the same ones on every ring to compile once.
        record: names of the subject's taps to keep.
        log_probs: whether to keep the log-probabilities.
        done: called with the number of finished blocks each time some are finished.

    Returns:
        Trials with axes condition, lifetime, trial.

    Raises:
        MesascopeError: the subject's weights changed, or its responses do not fit the family.
    """
    if lifetimes < 1:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 1.")
    labels = [c.label for c in conditions]
    if len(set(labels)) != len(labels):
        raise MesascopeError("A condition is listed twice.", "Name every condition once.")
    before = subject.fingerprint()
    blocks = range(-(-lifetimes // BLOCK))
    examples = distinct([*(kinds or ()), *conditions])
    home, whole = anonymous(family.banked(None)), anonymous(family)
    one = (
        anonymous(subject) if subject.traceable else subject
    )  # its own object: what it does to itself must show
    nothing, unlent = (_no_outcomes(family, where) for where in (ring, "fresh"))
    donors: dict[Place, Record] = {}
    tasks: dict[tuple[str, Place], Any] = {}

    def lent(condition: Condition, block: int) -> Place:
        """Where the donors live: on tasks of their own, so that no donor's task is a recipient's, others per draw."""
        return ("lent", condition.draw, block)

    def live(place: Place, where: str, condition: Condition, donated: Outcomes) -> Record:
        if (where, place) not in tasks:
            tasks[where, place] = _tasks(whole, where, place, seed)
        put = tasks[where, place]
        out = _block(one, home, where, put, place, seed, condition, examples, donated, tuple(record))
        done(1)
        return out

    places = list(dict.fromkeys(lent(c, b) for c in conditions if c.needs_donors for b in blocks))
    if places:
        donors = dict(
            zip(places, _spread(subject, lambda p: live(p, "fresh", Intact(), unlent), places), strict=True)
        )
    units = [(c, b) for c in conditions for b in blocks]

    def unit(told: tuple[Condition, int]) -> Record:
        condition, block = told
        donated = _told(donors[lent(condition, block)]) if condition.needs_donors else nothing
        return live((block,), ring, condition, donated)

    lived = _spread(subject, unit, units)
    known = {(c.label, b): r for (c, b), r in zip(units, lived, strict=True)}
    refuse_changed(subject, before)
    latents = [family.latents(tasks[where], ring) for where in ((ring, (b,)) for b in blocks)]
    if not log_probs:
        known = {k: r._replace(log_probs=None) for k, r in known.items()}
    return assemble(
        [[known[label, b] for b in blocks] for label in labels],
        {name: np.concatenate([x[name] for x in latents])[:lifetimes] for name in latents[0]},
        labels,
        [c.one_step for c in conditions],
        lifetimes,
        {
            "family": family.name,
            "ring": ring,
            "counted": ring not in family.reported,
            "subject": subject.name,
            "trained_on": subject.trained_on,
            "fingerprint": before,
            "seed": seed,
            "changes": family.changes(ring),
        },
    )


def distinct(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """One example of every kind of condition, in the order of their names."""
    return tuple(
        {type(c).__name__: c for c in (Intact(), *conditions)}[k]
        for k in sorted({type(c).__name__ for c in (Intact(), *conditions)})
    )


def anonymous(module: Any) -> Any:
    """A family or subject without what only says who it is: those that differ in nothing else share compiled code."""
    fields = [f.name for f in dataclasses.fields(module) if f.name in type(module).identity]

    def named(m: Any) -> list[Any]:
        return [getattr(m, f) for f in fields]

    return eqx.tree_at(named, module, [None] * len(fields), is_leaf=lambda x: x is None) if fields else module


def refuse_changed(subject: Subject, before: dict[str, str]) -> None:
    """Raises where the subject's weights are not what they were."""
    after = subject.fingerprint()
    changed = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    if changed:
        more = f" and {len(changed) - 8} more" if len(changed) > 8 else ""
        raise MesascopeError(
            f"The weights of {subject.name} changed while it ran: {', '.join(changed[:8])}{more}.",
            "mesascope measures frozen subjects: hand it a copy that does not train.",
        )


def _spread(subject: Subject, work: Callable, units: Sequence) -> list:
    """Runs units on two threads where the subject is compiled, one after the other where it is looped."""
    if not subject.traceable or len(units) < 2:
        return [work(u) for u in units]
    head = work(units[0])  # compiles once, before the threads ask for the same
    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(work, u) for u in units[1:]]
        try:
            return [head, *(f.result() for f in futures)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@eqx.filter_jit
def _draw(family: Family, key: jax.Array, ring: str) -> Any:
    return family.draw(key, BLOCK, ring)


def _tasks(family: Family, ring: str, place: Place, seed: int) -> Any:
    """The tasks of a block; 'fresh' and the rings made from it share their draws."""
    return _draw(family, located(seed, "tasks", *place), ring)


def _block(subject, family, ring, tasks, place, seed, condition, examples, donated, record) -> Record:
    """One block of one condition, as NumPy arrays."""
    key = located(seed, "lives", *place)
    trials = family.trials(ring)
    if len(donated.feedback) != trials:
        raise MesascopeError(
            f"{condition.label} needs lifetimes of {len(donated.feedback)} trials, {ring!r} has {trials}.",
            "Run it on a ring of the same length as fresh.",
        )
    partners = _partners(seed, place, condition.draw, trials) if place[0] != "lent" else _nobody(trials)
    if not subject.traceable:

        def keys(name, *t):
            return _located(seed, place, name, *map(int, t))

        return _looped(subject, family, tasks, keys, condition, donated, partners, record)
    kinds = tuple(condition if type(condition) is type(k) else k for k in examples)
    which = np.asarray([type(condition) is type(k) for k in examples]).argmax().astype(np.int32)
    numbers = jax.tree.map(_number, kinds)
    return jax.device_get(
        _scanned(subject, family, tasks, key, numbers, which, donated, partners, trials, record)
    )


def _number(x: Any) -> np.ndarray:
    """A condition's number as JAX would hold it."""
    x = np.asarray(x)
    return x.astype(np.int32 if x.dtype.kind == "i" else np.float32 if x.dtype.kind == "f" else x.dtype)


@functools.lru_cache(maxsize=1024)
def _partners(seed: int, place: Place, draw: int, trials: int) -> jax.Array:
    """[T, N] one random cycle through the block for every trial: nobody is its own partner."""
    return _cycles(located(seed, "lives", *place, "partners", draw), trials)


@functools.lru_cache(maxsize=1 << 14)
def _located(seed: int, place: Place, name: str, *t: int) -> jax.Array:
    """A key inside a block, made once for all conditions."""
    return located(seed, "lives", *place, name, *t)


def _nobody(trials: int) -> np.ndarray:
    """[T, N] partners where none are asked for."""
    return np.zeros((trials, BLOCK), np.int32)


@functools.partial(jax.jit, static_argnums=1)
def _cycles(key: jax.Array, trials: int) -> jax.Array:
    def cycle(k):
        order = jax.random.permutation(k, BLOCK)
        return jnp.zeros(BLOCK, jnp.int32).at[order].set(jnp.roll(order, 1))

    return jax.vmap(cycle)(jax.random.split(key, trials))


def _context(subject, family, fresh, start, keys, t, recent, partner, donated, repeat) -> Context:
    """What a condition may use at trial t."""

    def exchange(i, old):
        at, before = (max(x, 0) if isinstance(x, int) else jnp.clip(x, 0) for x in (t - i, t - 1 - i))
        return family.exchanged(old, donated.feedback[before][partner], donated.observation[at][partner])

    return Context(
        fresh=fresh,
        start=start,
        recent=recent,
        partner=partner,
        exchange=exchange,
        flip=family.flipped,
        choices=family.choices,
        key=lambda i: keys("act", t - i),
        respond=subject.respond,
        repeat=repeat,
    )


@eqx.filter_jit
def _scanned(subject, family, tasks, key, kinds, which, donated, partners, trials, record) -> Record:
    """One block of one condition as one scan; the condition's kind and numbers are data."""
    state, start = family.begin(address(key, "begin"), tasks)
    fresh = subject.fresh(BLOCK)
    one_step = jnp.asarray([k.one_step for k in kinds])[which]
    keys = functools.partial(address, key)

    def repeat(low, high, body, carry):
        return jax.lax.fori_loop(low, jnp.asarray(high, jnp.int32), body, carry)

    def trial(life: Life, xs):
        t, partner = xs
        recent = jax.tree.map(
            lambda old, new: jnp.concatenate([new[None], old[:-1]]), life.recent, life.percept
        )
        context = _context(subject, family, fresh, start, keys, t, recent, partner, donated, repeat)

        def disturb(kind):
            return lambda: kind.apply(
                address(key, "disturb", t), t, life.carry, life.percept, life.shadow, context
            )

        carry, percept, shadow = jax.lax.switch(which, [disturb(k) for k in kinds])
        after, response = subject.respond(address(key, "act", t), carry, percept)
        lived, action = jax.lax.cond(
            one_step,
            lambda: _strip(subject.respond(address(key, "act", t), life.carry, life.percept)),
            lambda: (after, response.action),
        )
        state, percept, score = family.step(address(key, "pay", t), tasks, life.state, action)
        out = Record(
            response.action,
            percept.feedback,
            score,
            partner,
            response.log_probs,
            life.percept.observation,
            {k: v for k, v in subject.taps(after).items() if k in record},
        )
        return Life(state, percept, lived, shadow, recent), out

    recent = jax.tree.map(lambda x: jnp.repeat(x[None], RECENT, 0), start)
    life = Life(state, start, fresh, fresh, recent)
    return jax.lax.scan(trial, life, (jnp.arange(trials), partners))[1]


def _strip(answer: tuple[Any, Response]) -> tuple[Any, jax.Array]:
    return answer[0], answer[1].action


def _looped(subject, family, tasks, keys, condition, donated, partners, record) -> Record:
    """One block of one condition, trial by trial in Python, for subjects that JAX cannot trace."""
    state, start = jax.tree.map(np.asarray, family.begin(keys("begin"), tasks))
    fresh = subject.fresh(BLOCK)

    def repeat(low, high, body, carry):
        for i in range(int(low), int(high)):
            carry = body(i, carry)
        return carry

    recent = jax.tree.map(lambda x: np.repeat(x[None], RECENT, 0), start)
    percept, carry, shadow, out = start, fresh, fresh, []
    for t in range(len(partners)):
        recent = jax.tree.map(lambda old, new: np.concatenate([new[None], old[:-1]]), recent, percept)
        partner = np.asarray(partners[t])
        context = _context(subject, family, fresh, start, keys, t, recent, partner, donated, repeat)
        disturbed, seen, shadow = condition.apply(keys("disturb", t), t, carry, percept, shadow, context)
        after, response = subject.respond(keys("act", t), disturbed, seen)
        if condition.one_step:
            carry, action = _strip(subject.respond(keys("act", t), carry, percept))
        else:
            carry, action = after, response.action
        taps = {k: np.asarray(v) for k, v in subject.taps(after).items() if k in record}
        shown = percept.observation
        state, percept, score = _stepped(family, keys("pay", t), tasks, state, jnp.asarray(action))
        state, percept = jax.tree.map(np.asarray, (state, percept))
        out.append(Record(response.action, percept.feedback, score, partner, response.log_probs, shown, taps))
    return jax.tree.map(lambda *xs: np.stack([np.asarray(x) for x in xs]), *out)


@eqx.filter_jit
def _stepped(family, key, tasks, state, action):
    return family.step(key, tasks, state, action)
