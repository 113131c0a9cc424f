"""Runs a frozen subject on a family's tasks under conditions, and returns trials.

Lifetimes run in blocks of 64, and the last block is padded with further lifetimes. Blocks with equally long lifetimes
use the same compiled scan, on every split and under every condition of a kind that the scan includes. Additional
conditions, splits or blocks do not change the other trials. If JAX cannot trace the subject or the family, blocks run
in a Python loop.
"""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.agents.opening import open_family, open_subject
from mesascope.catalogue import make_plugins
from mesascope.contracts import Condition, Family, Intact, Percept, Response, ScriptedSubject, Subject
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.guards.blame import prevent_exits
from mesascope.keys import derive_key_from_seed
from mesascope.precision import use_single_precision
from mesascope.rollouts import blocks
from mesascope.rollouts.blocks import BLOCK_SIZE, BlockAddress, Job, MakeKey, Outcomes, Record
from mesascope.rollouts.compiling import compile_once
from mesascope.rollouts.loops import collect_percepts, run_in_loop
from mesascope.rollouts.scans import run_in_scan
from mesascope.rollouts.worth import value_disturbed_actions
from mesascope.trials import join_records

N_THREADS = 2


@prevent_exits()
@use_single_precision()
def rollout(
    subject: Any,
    family: Family | str,
    split: str = "fresh",
    lifetimes: int = 256,
    seed: int = 0,
    *,
    conditions: Sequence[Condition | str] | Condition | str = "intact",
    condition_examples: Sequence[Condition] | None = None,
    recorded_taps: Sequence[str] = (),
    should_keep_log_probs: bool = True,
    report_finished: Callable[[int], None] = lambda units: None,
    tasks: dict[tuple[str, BlockAddress], Any] | None = None,
    blocks_per_call: int = 1,
) -> xr.Dataset:
    """Runs `lifetimes` lifetimes on a split under each condition.

    Args:
        subject: the subject, in any form that `examine` accepts. Its weights must not change while it runs.
        family: the family, or the family's name with settings.
        split: the split from which tasks are drawn.
        lifetimes: N, the number of lifetimes.
        seed: the seed of the tasks and of all draws. Conditions use the same draws, so contrasts are paired.
        conditions: the conditions, each listed once, as objects or texts such as 'carry_reset:trial=5'.
        condition_examples: one example of every kind of condition that the compiled scan must include besides those of
            `conditions`. Give the same kinds on every split, so that the scan compiles only once.
        recorded_taps: the names of the subject's taps to record.
        should_keep_log_probs: whether the trials contain the log-probabilities of actions.
        report_finished: a function that is called with the number of newly finished blocks, whenever some have
            finished. A block counts once for each condition, and the blocks of donors count, too.
        tasks: tasks of the same family and seed from earlier calls, by split and block address; this call adds the
            tasks that it draws.
        blocks_per_call: the number of blocks in one call of the compiled scan. A larger number is faster if a response
            takes almost no computation.

    Returns:
        Trials with axes condition, lifetime, trial (see `mesascope.trials`).

    Raises:
        MesascopeError: a name is unknown, `lifetimes` is below 1, a condition is listed twice, a condition or the
            subject does not fit the family, or the subject's weights changed.
    """
    gate.allow_from_python(subject, family)
    family = open_family(family)
    subject, conditions = open_subject(subject, family), make_plugins("conditions", conditions)
    if lifetimes < 1:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 1.")
    labels = [c.label for c in conditions]
    if len(set(labels)) != len(labels):
        raise MesascopeError("A condition is listed twice.", "List every condition once.")
    for condition in conditions:
        if reason := condition.explain_mismatch(family):
            problem = f"{condition.label} does not apply to {family.name}: {reason}."
            raise MesascopeError(problem, "Leave that condition out.")
    hashes_before, taps = subject.hash_weights(), tuple(dict.fromkeys([*recorded_taps, *subject.recorded_taps]))
    block_numbers = range(-(-lifetimes // BLOCK_SIZE))
    examples = find_condition_examples([*(condition_examples or ()), *conditions])
    unbanked_family, banked_family = strip_identity(family.with_bank(None)), strip_identity(family)
    # in a Python loop, the caller's own object runs, so that changes to this object are detected
    stripped_subject = strip_identity(subject) if subject.is_traceable else subject
    no_outcomes, no_fresh_outcomes = (blocks.make_empty_outcomes(family, name) for name in (split, "fresh"))
    threads = N_THREADS if subject.is_traceable and family.is_traceable else 1
    tasks = {} if tasks is None else tasks

    def locate_donors(condition: Condition, block: int) -> BlockAddress:
        """Returns the address of the block of donors; the donors' tasks differ between replicates."""
        return ("lent", condition.replicate_number, block)

    def run_jobs(run_split: str, jobs: Sequence[Job]) -> list[Record]:
        missing = [job.address for job in jobs if (run_split, job.address) not in tasks]
        new_tasks = _draw_all_tasks(banked_family if run_split == "seen" else unbanked_family, run_split, missing, seed)
        tasks.update({(run_split, place): block_tasks for place, block_tasks in zip(missing, new_tasks, strict=True)})
        unit_tasks = [tasks[run_split, job.address] for job in jobs]
        actor = _FirstChoice() if jobs[0].address[0] == "lent" and family.has_full_feedback else stripped_subject
        n_trials = family.get_split(
            run_split
        ).trial_count  # from `family`, because only a family with a bank has 'seen'
        unit = {"jobs": jobs, "condition_examples": examples, "trials": n_trials}
        unit_records = _run_unit(actor, unbanked_family, run_split, unit_tasks, seed, **unit, recorded_taps=taps)
        report_finished(len(jobs))
        return unit_records

    def run_all(run_split: str, jobs: Sequence[Job]) -> dict[tuple[str, BlockAddress], Record]:
        units = _group_jobs(jobs, threads, blocks_per_call, subject.is_asked_in_turn)
        finished = itertools.chain(*_run_units(threads, functools.partial(run_jobs, run_split), units))
        pairs = zip(itertools.chain(*units), finished, strict=True)
        return {(job.condition.label, job.address): record for job, record in pairs}

    places = list(dict.fromkeys(locate_donors(c, b) for c in conditions if c.needs_donors for b in block_numbers))
    donor_records = run_all("fresh", [Job(place, Intact(), no_fresh_outcomes) for place in places])
    donors = {place: blocks.read_outcomes(record) for (_, place), record in donor_records.items()}

    def find_outcomes(condition: Condition, block: int) -> Outcomes:
        return donors[locate_donors(condition, block)] if condition.needs_donors else no_outcomes

    jobs = [Job((b,), c, find_outcomes(c, b)) for c in conditions for b in block_numbers]
    records = run_all(split, jobs)
    refuse_changed_weights(subject, hashes_before)
    split_tasks = [tasks[split, (b,)] for b in block_numbers]
    latents = [family.compute_latents(block_tasks, split) for block_tasks in split_tasks]
    if not should_keep_log_probs:
        records = {k: r._replace(log_probs=None) for k, r in records.items()}
    chances = [x["chance"] for x in latents]
    records, transplants, first_action_values = value_disturbed_actions(
        family, split, conditions, records, tasks=split_tasks, chances=chances
    )
    record_table = [[records[label, (b,)] for b in block_numbers] for label in labels]
    latents = [x | more for x, more in zip(latents, first_action_values, strict=True)]
    payoffs = {name: np.concatenate([x[name] for x in latents])[:lifetimes] for name in latents[0]}
    one_step = [c.is_one_step for c in conditions]
    attrs = make_attributes(family, split, subject.name, subject.trained_on, hashes_before, seed=seed)
    trials = join_records(record_table, payoffs, labels, one_step, lifetimes, attrs=attrs, transplants=transplants)
    return subject.annotate(trials)


def make_attributes(
    family: Family, split: str, subject: str, trained_on: str, fingerprint: dict[str, str], *, seed: int
) -> dict[str, Any]:
    """Makes the attributes of trials, which describe the family, the split and the subject.

    Args:
        family: the family of the tasks.
        split: the name of the split.
        subject: the name of the subject.
        trained_on: the tasks that the subject was trained on, as in `Subject`.
        fingerprint: the hashes of the subject's weights.
        seed: the seed of the tasks and of all draws.
    """
    split_data = family.get_split(split)
    return {
        **{"family": family.name, "split": split, "counted": split_data.is_counted},
        **{"subject": subject, "trained_on": trained_on, "fingerprint": fingerprint},
        **{"seed": seed, "changes": split_data.change_trial},
        **({"actions": "real"} if family.choices is None else {}),
        **({"steps": family.steps} if family.steps > 1 else {}),
        **({"inexpressible": True} if split_data.is_beyond_banks else {}),
        **({"parts": split_data.part_count} if split_data.part_count else {}),
        **({"digits": list(split_data.digit_bases)} if split_data.digit_bases else {}),
        **({"changing": True} if split_data.is_changing else {}),
    }


class _FirstChoice(ScriptedSubject):
    """A donor that always takes the first choice, for families whose outcomes do not depend on the action."""

    name: str = "still"

    def respond(self, key, carry, percept):
        """Takes the first choice."""
        return carry, Response(jnp.zeros_like(percept.action), None)


def find_condition_examples(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Finds one example of every class of conditions, including `Intact`, sorted by the name of the class."""
    kinds = {type(c).__name__: c for c in (Intact(), *conditions)}
    return tuple(kinds[name] for name in sorted(kinds))


def strip_identity(module: Any) -> Any:
    """Sets a family's or subject's identity fields to None, so that modules that differ only in them share code."""
    fields = [f.name for f in dataclasses.fields(module) if f.name in type(module).identity_fields]

    def read_fields(m: Any) -> list[Any]:
        return [getattr(m, f) for f in fields]

    return eqx.tree_at(read_fields, module, [None] * len(fields), is_leaf=lambda x: x is None) if fields else module


def refuse_changed_weights(subject: Subject, hashes_before: dict[str, str]) -> None:
    """Raises `MesascopeError` if the weights changed since `hashes_before` was computed by `subject.hash_weights()`."""
    after = subject.hash_weights()
    changed = sorted(k for k in hashes_before.keys() | after.keys() if hashes_before.get(k) != after.get(k))
    if changed:
        others = f" and {len(changed) - 8} more" if len(changed) > 8 else ""
        problem = f"The weights of {subject.name} changed while it ran: {', '.join(changed[:8])}{others}."
        remedy = "mesascope measures frozen subjects, so pass a copy that does not train. "
        raise MesascopeError(problem, f"{remedy}Store memory of a lifetime in the carry (a function's state).")


def _run_units(threads: int, run_unit: Callable[[list[Job]], list[Record]], units: Sequence[list[Job]]) -> list[Any]:
    """Runs units on several threads, after the first unit has run alone."""
    if threads < 2 or len(units) < 2:
        return [run_unit(u) for u in units]
    head = run_unit(units[0])  # compiles the code once, before several threads use it
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(run_unit, u) for u in units[1:]]
        try:
            return [head, *(f.result() for f in futures)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@compile_once
def _draw_block_tasks(family: Family, key: jax.Array, split: str) -> Any:
    return family.get_split(split).draw(key, BLOCK_SIZE)


def draw_tasks(family: Family, split: str, address: BlockAddress, seed: int) -> Any:
    """Draws the tasks of the block with this address on a split; every split uses the same random key."""
    key = derive_key_from_seed(seed, "tasks", *address)
    return (
        _draw_block_tasks(family, key, split) if family.is_traceable else family.get_split(split).draw(key, BLOCK_SIZE)
    )


@compile_once
def _draw_tasks_of_blocks(family: Family, keys: jax.Array, split: str) -> Any:
    return jax.vmap(lambda key: family.get_split(split).draw(key, BLOCK_SIZE))(keys)


def _draw_all_tasks(family: Family, split: str, addresses: Sequence[BlockAddress], seed: int) -> list[Any]:
    """Draws the tasks of each of several blocks, in one compiled call if JAX can trace the family."""
    if len(addresses) < 2 or not family.is_traceable:
        return [draw_tasks(family, split, place, seed) for place in addresses]
    keys = jnp.stack([derive_key_from_seed(seed, "tasks", *place) for place in addresses])
    tasks = jax.device_get(_draw_tasks_of_blocks(family, keys, split))
    return [jax.tree.map(operator.itemgetter(i), tasks) for i in range(len(addresses))]


def _group_jobs(
    jobs: Sequence[Job], threads: int, blocks_per_call: int, should_separate_conditions: bool
) -> list[list[Job]]:
    """Groups jobs into units; each unit runs in one call.

    In a compiled scan, a unit has `blocks_per_call` blocks under one condition. The remaining blocks run one at a time,
    so that no scan of a third size is compiled. In a Python loop (if `threads` is 1), a unit has one block, either
    under all conditions that leave the lifetimes undisturbed or under one other condition. With
    `should_separate_conditions`, every unit of a Python loop has only one condition.
    """
    groups: dict[Any, list[Job]] = {}
    for job in jobs:
        shared = (
            job.address,
            (blocks.is_undisturbed(job.condition) and not should_separate_conditions) or job.condition.label,
        )
        groups.setdefault(job.condition.label if threads > 1 else shared, []).append(job)
    if threads == 1:
        return list(groups.values())
    units: list[list[Job]] = []
    for group in groups.values():
        even = len(group) - len(group) % blocks_per_call
        units += [group[i : i + blocks_per_call] for i in range(0, even, blocks_per_call)]
        units += [[job] for job in group[even:]]
    return units


def _run_unit(subject, family, split, tasks, seed, *, jobs, condition_examples, recorded_taps, trials) -> list[Record]:
    """Runs the jobs of one unit and returns one record per job, in NumPy arrays."""
    place, condition, _ = jobs[0]
    is_donor = place[0] == "lent"
    for job in jobs:
        if (length := len(job.donor_outcomes.feedback) // family.steps) != trials:
            problem = f"{job.condition.label} needs lifetimes of {length} trials, but {split!r} has {trials}."
            raise MesascopeError(problem, "Run the condition on a split whose lifetimes are as long as those of fresh.")

    def find_partners(job):
        if is_donor:
            return np.zeros((trials, BLOCK_SIZE), np.int32)  # donors do not use partners
        return _draw_partners(seed, job.address, job.condition.replicate_number, trials)

    keeps_observations = (
        blocks.are_donor_observations_needed(family) if is_donor else blocks.should_keep_observations(family, trials)
    )
    if subject.is_traceable and family.is_traceable:
        inputs = [
            (derive_key_from_seed(seed, "lives", *job.address), block_tasks, job.donor_outcomes, find_partners(job))
            for job, block_tasks in zip(jobs, tasks, strict=True)
        ]
        records = run_in_scan(
            subject, family, inputs, condition, condition_examples, trials=trials, recorded_taps=recorded_taps
        )
        if family.steps == 1:
            return records
        return [blocks.trim_observations(r, condition, keeps_observations) for r in records]

    partners, keys = [np.asarray(find_partners(job)) for job in jobs], _make_key_function(seed, place)
    return run_in_loop(
        subject,
        family,
        tasks[0],
        keys,
        jobs,
        partners,
        recorded_taps=recorded_taps,
        should_keep_observations=keeps_observations,
    )


def collect_block_percepts(subject, family, split: str, address: BlockAddress, seed: int, *, n_steps: int) -> Percept:
    """Runs the first `n_steps` steps of a block in a Python loop, and returns the percepts.

    The fields of the result have axes step, lifetime. If lifetimes are shorter, all their steps are run.
    """
    tasks, limit = draw_tasks(family, split, address, seed), family.get_split(split).trial_count * family.steps
    return collect_percepts(subject, family, tasks, _make_key_function(seed, address), min(n_steps, limit))


@functools.lru_cache(maxsize=1024)
def _draw_partners(seed: int, address: BlockAddress, draw: int, trial_count: int) -> jax.Array:
    """Draws the partners of N lifetimes on T trials, an array [T, N] of indices.

    On every trial, the partners form a random cycle through the block, so no lifetime is its own partner.
    """
    return _draw_cycles(derive_key_from_seed(seed, "lives", *address, "partners", draw), trial_count)


def _make_key_function(seed: int, address: BlockAddress) -> MakeKey:
    """Makes a function that returns the random keys of a block that runs in a Python loop."""
    return lambda name, *t: _derive_block_key(seed, address, name, *map(int, t))


@functools.lru_cache(maxsize=1 << 14)
def _derive_block_key(seed: int, address: BlockAddress, name: str, *t: int) -> jax.Array:
    """Derives a random key of a block, and caches the key, because all conditions use the same keys."""
    return derive_key_from_seed(seed, "lives", *address, name, *t)


@compile_once
def _draw_cycles(key: jax.Array, trial_count: int) -> jax.Array:
    def cycle(k):
        order = jax.random.permutation(k, BLOCK_SIZE)
        return jnp.zeros(BLOCK_SIZE, jnp.int32).at[order].set(jnp.roll(order, 1))

    return jax.vmap(cycle)(jax.random.split(key, trial_count))
