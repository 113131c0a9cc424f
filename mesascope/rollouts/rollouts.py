"""Puts a family's tasks to a frozen subject under conditions and returns trials.

Lifetimes run in fixed blocks of 64, the last one padded, and every block of every condition and split goes through
the same compiled scan: adding conditions, splits or blocks changes no other trial and compiles nothing again. Where JAX
cannot trace the subject or the family, blocks are looped in Python.
"""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.agents.opening import open_family, open_subject
from mesascope.catalogue import open_all
from mesascope.contracts.condition import Condition, Intact
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.subject import Response, Scripted, Subject
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.guards.blame import contain_exits
from mesascope.keys import fold_address
from mesascope.rollouts import lives
from mesascope.rollouts.compiling import compile_once
from mesascope.rollouts.lives import BLOCK, Disturbed, Keys, Outcomes, Record
from mesascope.rollouts.loops import run_looped, watch
from mesascope.rollouts.scans import Block, run_scanned
from mesascope.trials import assemble

WORKERS = 2
Place = tuple[str | int, ...]  # the address of a block: its number, or ('lent', draw, number) of the donors'


class Job(NamedTuple):
    """A block of lifetimes to live."""

    place: Place
    condition: Condition
    donated: Outcomes


@contain_exits()
def rollout(
    subject: Any,
    family: Family | str,
    split: str = "fresh",
    lifetimes: int = 256,
    seed: int = 0,
    *,
    conditions: Sequence[Condition | str] | Condition | str = "intact",
    kinds: Sequence[Condition] | None = None,
    record: Sequence[str] = (),
    log_probs: bool = True,
    done: Callable[[int], None] = lambda units: None,
    tasks: dict[tuple[str, Place], Any] | None = None,
    together: int = 1,
) -> xr.Dataset:
    """Lives `lifetimes` lifetimes of a split under each condition.

    Args:
        subject: who is tested, as `examine` takes it; its fingerprint is taken before and after.
        family: what it is put to, or its text.
        split: which of the family's splits.
        lifetimes: N.
        seed: of the tasks and of all draws; conditions share their draws, so contrasts are paired.
        conditions: what is disturbed, each once, as objects or texts such as 'carry_reset:at=5'; the first run of a
            kind decides what is compiled.
        kinds: one example of every kind of condition that the same compiled scan is to hold; by default
            those in `conditions`. Give the same ones on every split to compile once.
        record: names of the subject's taps to keep.
        log_probs: whether to keep the log-probabilities.
        done: called with the number of finished blocks each time some are finished.
        tasks: of the same family and seed that were drawn before; those drawn here are added.
        together: blocks that one call of the compiled scan lives. Many pay where a response costs next to nothing.

    Returns:
        Trials with axes condition, lifetime, trial.

    Raises:
        MesascopeError: the subject's weights changed, or its responses do not fit the family.
    """
    gate.allow_from_python(subject, family)
    family = open_family(family)
    subject, conditions = open_subject(subject, family), open_all("conditions", conditions)
    if lifetimes < 1:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 1.")
    labels = [c.label for c in conditions]
    if len(set(labels)) != len(labels):
        raise MesascopeError("A condition is listed twice.", "Name every condition once.")
    for condition in conditions:
        if why := condition.unfit(family):
            raise MesascopeError(
                f"{condition.label} does not apply to {family.name}: {why}.", "Leave that condition out."
            )
    before, kept = subject.fingerprint(), tuple(dict.fromkeys([*record, *subject.recorded]))
    blocks = range(-(-lifetimes // BLOCK))
    examples = distinct_kinds([*(kinds or ()), *conditions])
    home, whole = strip_names(family.with_bank(None)), strip_names(family)
    # one that is looped is its own object: what it does to itself must show
    one = strip_names(subject) if subject.traceable else subject
    none, unlent = (lives.empty_outcomes(family, family.split(where).trials) for where in (split, "fresh"))
    side = WORKERS if subject.traceable and family.traceable else 1
    tasks = {} if tasks is None else tasks

    def lent(condition: Condition, block: int) -> Place:
        """Where the donors live: on tasks of their own, so that no donor's task is a recipient's, others per draw."""
        return ("lent", condition.draw, block)

    def live(where: str, jobs: Sequence[Job]) -> list[Record]:
        missing = [job.place for job in jobs if (where, job.place) not in tasks]
        made = _drawn(whole if where == "seen" else home, where, missing, seed)
        tasks.update({(where, place): put for place, put in zip(missing, made, strict=True)})
        put = [tasks[where, job.place] for job in jobs]
        who = _Still() if jobs[0].place[0] == "lent" and family.full_feedback else one
        lasting = family.split(where).trials  # without its bank a family has no split 'seen'
        out = _lived(who, home, where, put, seed, jobs=jobs, examples=examples, record=kept, trials=lasting)
        done(len(jobs))
        return out

    def all_of(where: str, jobs: Sequence[Job]) -> dict[tuple[str, Place], Record]:
        units = _units(jobs, side, together, subject.in_turn)
        lived = itertools.chain(*_spread(side, functools.partial(live, where), units))
        pairs = zip(itertools.chain(*units), lived, strict=True)
        return {(job.condition.label, job.place): record for job, record in pairs}

    places = list(dict.fromkeys(lent(c, b) for c in conditions if c.needs_donors for b in blocks))
    made = all_of("fresh", [Job(place, Intact(), unlent) for place in places])
    donors = {place: lives.lendable(record) for (_, place), record in made.items()}
    known = all_of(
        split,
        [Job((b,), c, donors[lent(c, b)] if c.needs_donors else none) for c in conditions for b in blocks],
    )
    refuse_changed(subject, before)
    latents = [family.latents(tasks[where], split) for where in ((split, (b,)) for b in blocks)]
    if not log_probs:
        known = {k: r._replace(log_probs=None) for k, r in known.items()}
    lived = assemble(
        [[known[label, (b,)] for b in blocks] for label in labels],
        {name: np.concatenate([x[name] for x in latents])[:lifetimes] for name in latents[0]},
        labels,
        [c.one_step for c in conditions],
        lifetimes,
        attrs=attributes(family, split, subject.name, subject.trained_on, before, seed=seed),
    )
    return subject.annotate(lived)


def attributes(
    family: Family, split: str, subject: str, trained_on: str, fingerprint: dict[str, str], *, seed: int
) -> dict[str, Any]:
    """The attributes of trials: who lived what."""
    of = family.split(split)
    return {
        "family": family.name,
        "split": split,
        "counted": of.counted,
        "subject": subject,
        "trained_on": trained_on,
        "fingerprint": fingerprint,
        "seed": seed,
        "changes": of.changes_at,
        **({"actions": "real"} if family.choices is None else {}),
        **({"steps": family.steps} if family.steps > 1 else {}),
        **({"inexpressible": True} if of.beyond_banks else {}),
        **({"parts": of.parts} if of.parts else {}),
    }


class _Still(Scripted):
    """A donor where what donors hand over is told whatever they do: nobody need be asked."""

    name: str = "still"

    def respond(self, key, carry, percept):
        """The first choice."""
        return carry, Response(jnp.zeros_like(percept.action), None)


def distinct_kinds(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """One example of every kind of condition, in the order of their names."""
    kinds = {type(c).__name__: c for c in (Intact(), *conditions)}
    return tuple(kinds[name] for name in sorted(kinds))


def strip_names(module: Any) -> Any:
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
            "mesascope measures frozen subjects: hand it a copy that does not train; what it remembers of a lifetime "
            "belongs in the carry (a function's state).",
        )


def _spread(
    side: int, work: Callable[[list[Job]], list[Record]], units: Sequence[list[Job]]
) -> list[list[Record]]:
    """Runs units on so many threads side by side: two where lifetimes are compiled, one where they are looped."""
    if side < 2 or len(units) < 2:
        return [work(u) for u in units]
    head = work(units[0])  # compiles once, before the threads ask for the same
    with ThreadPoolExecutor(side) as pool:
        futures = [pool.submit(work, u) for u in units[1:]]
        try:
            return [head, *(f.result() for f in futures)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@compile_once
def _draw(family: Family, key: jax.Array, split: str) -> Any:
    return family.split(split).draw(key, BLOCK)


def draw_tasks(family: Family, split: str, place: Place, seed: int) -> Any:
    """The tasks of a block; 'fresh' and the splits made from it share their draws."""
    key = fold_address(seed, "tasks", *place)
    return _draw(family, key, split) if family.traceable else family.split(split).draw(key, BLOCK)


@compile_once
def _draws(family: Family, keys: jax.Array, split: str) -> Any:
    return jax.vmap(lambda key: family.split(split).draw(key, BLOCK))(keys)


def _drawn(family: Family, split: str, places: Sequence[Place], seed: int) -> list[Any]:
    """The tasks of several blocks."""
    if len(places) < 2 or not family.traceable:
        return [draw_tasks(family, split, place, seed) for place in places]
    keys = jnp.stack([fold_address(seed, "tasks", *place) for place in places])
    tasks = jax.device_get(_draws(family, keys, split))
    return [jax.tree.map(operator.itemgetter(i), tasks) for i in range(len(places))]


def _units(jobs: Sequence[Job], side: int, together: int, apart: bool) -> list[list[Job]]:
    """Jobs that are lived in one go.

    Compiled: `together` blocks of one condition, what is left over one by one, so that no third size is compiled.
    Looped: all conditions of a block that leave the life undisturbed, or each of them apart.
    """
    gone: dict[Any, list[Job]] = {}
    for job in jobs:
        calm = (job.place, (lives.is_undisturbed(job.condition) and not apart) or job.condition.label)
        gone.setdefault(job.condition.label if side > 1 else calm, []).append(job)
    if side == 1:
        return list(gone.values())
    units: list[list[Job]] = []
    for alike in gone.values():
        whole = len(alike) - len(alike) % together
        units += [alike[i : i + together] for i in range(0, whole, together)]
        units += [[job] for job in alike[whole:]]
    return units


def _lived(subject, family, split, tasks, seed, *, jobs, examples, record, trials) -> list[Record]:
    """Jobs that are lived in one go, each with its tasks, as NumPy arrays."""
    place, condition, _ = jobs[0]
    for job in jobs:
        if (long := len(job.donated.feedback) // family.steps) != trials:
            raise MesascopeError(
                f"{job.condition.label} needs lifetimes of {long} trials, {split!r} has {trials}.",
                "Run it on a split of the same length as fresh.",
            )

    def partners(job):
        if job.place[0] == "lent":
            return np.zeros((trials, BLOCK), np.int32)  # none are asked for
        return _partners(seed, job.place, job.condition.draw, trials)

    whole = (
        lives.lends_observations(family) if place[0] == "lent" else lives.keeps_observations(family, trials)
    )
    if subject.traceable and family.traceable:
        blocks = [
            Block(fold_address(seed, "lives", *job.place), put, job.donated, partners(job))
            for job, put in zip(jobs, tasks, strict=True)
        ]
        lived = run_scanned(subject, family, blocks, condition, examples, trials=trials, record=record)
        blind = family.steps > 1 and not (whole and type(condition) is Intact)
        return [r._replace(observation=None) for r in lived] if blind else lived

    disturbed = [Disturbed(job.condition, job.donated, partners(job)) for job in jobs]
    return run_looped(subject, family, tasks[0], _keys(seed, place), disturbed, record=record, whole=whole)


def watch_block(
    subject: Subject, family: Family, split: str, place: Place, seed: int, *, ticks: int
) -> Percept:
    """What a subject sees at the first ticks of a block, axes T·S, N; the lifetimes are looped."""
    tasks, most = draw_tasks(family, split, place, seed), family.split(split).trials * family.steps
    return watch(subject, family, tasks, _keys(seed, place), min(ticks, most))


@functools.lru_cache(maxsize=1024)
def _partners(seed: int, place: Place, draw: int, trials: int) -> jax.Array:
    """[T, N] one random cycle through the block for every trial: nobody is its own partner."""
    return _cycles(fold_address(seed, "lives", *place, "partners", draw), trials)


def _keys(seed: int, place: Place) -> Keys:
    """The keys of a looped block."""
    return lambda name, *t: _located(seed, place, name, *map(int, t))


@functools.lru_cache(maxsize=1 << 14)
def _located(seed: int, place: Place, name: str, *t: int) -> jax.Array:
    """A key inside a block, made once for all conditions."""
    return fold_address(seed, "lives", *place, name, *t)


@compile_once
def _cycles(key: jax.Array, trials: int) -> jax.Array:
    def cycle(k):
        order = jax.random.permutation(k, BLOCK)
        return jnp.zeros(BLOCK, jnp.int32).at[order].set(jnp.roll(order, 1))

    return jax.vmap(cycle)(jax.random.split(key, trials))
