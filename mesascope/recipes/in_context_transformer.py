"""Trains a decoder on whole lifetimes at once to predict in context (Garg et al. 2022, arXiv 2208.01066).

The percepts of a prediction family do not depend on the actions. So the recipe runs a batch once without the network,
and the network then predicts on all trials in one pass. For real actions the loss is minus the family's score. For
choices it is the log-loss of the target (`family.target`).
"""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from mesascope.agents.networks.recurrent import WITH_LAYERS, Recurrent, initialise
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.recipe import Progress, Trained, ignore_progress
from mesascope.errors import MesascopeError
from mesascope.keys import address
from mesascope.recipes.descent import MANY, as_arrays, check
from mesascope.recipes.lives import find_scale, find_split
from mesascope.recipes.updates import train

ADAM = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.98, eps=1e-8))
DEPTH, HEADS = 3, 4
TRIED = "linear_regression:dimension=3,trials=12,bank=2"  # the family that `mesascope check` tries it on
SMALL = {"width": 8, "lifetimes": 8}  # the settings for that check


class Plan(NamedTuple):
    """The settings of an update, and `room`, the best score minus the chance score; all are data."""

    updates: jax.Array
    rate: jax.Array
    final_rate: jax.Array
    warmup: jax.Array
    room: jax.Array


class Rollout(NamedTuple):
    """A batch of lifetimes [T, N]: percept and hidden state before each trial, the percept after it, and its key."""

    before: Percept
    state: Any
    after: Percept
    key: jax.Array


def recipe(
    family: Family,
    out: str | os.PathLike,
    *,
    memory: str = "transformer",
    width: int = 64,
    depth: int = 0,
    heads: int = 0,
    observes: str = "",
    updates: int = 3000,
    lifetimes: int = 256,
    rate: float = 2e-3,
    final_rate: float = 2e-5,
    warmup: int = 100,
    seed: int = 0,
    progress: Callable[[Progress], None] = ignore_progress,
) -> Trained:
    """Trains a transformer, linear attention or a GRU to predict in context.

    Args:
        family: the training family, whose percepts must not depend on the actions. Training uses its bank if it has
            one, else unlimited fresh tasks.
        out: the folder for network.safetensors; a training run that began there with the same settings continues.
        memory: transformer, linear_attention, gru, lstm, lru or none.
        width: the number of units.
        depth: the number of attention layers; 0 for 3 layers, and for a memory without layers.
        heads: the number of heads in each layer; 0 for 4 heads, and for a memory without layers.
        observes: the parts of the percept given to the network, joined by +; by default first and observation, and for
            real actions also the feedback, which is then the outcome itself.
        updates: the number of batches; each is one step of Adam.
        lifetimes: the number of lifetimes in a batch.
        rate: Adam's step size after the warm-up; it falls as a half cosine.
        final_rate: Adam's step size at the end.
        warmup: the number of updates over which the step size rises from 0.
        seed: the seed of the weights, the tasks and all random draws.
        progress: called after every update.

    Raises:
        MesascopeError: a setting is out of range, the family's percepts depend on the actions or do not show the
            target, or the folder contains another training run.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    check(settings, warmup=(0, MANY))
    real = family.choices is None
    parts = observes or ("first+observation+feedback" if real else "first+observation")
    layout = {"depth": depth, "heads": heads}
    if memory in WITH_LAYERS:
        layout = {"depth": depth or DEPTH, "heads": heads or HEADS}
    data = as_arrays(updates=updates, rate=rate, final_rate=final_rate, warmup=warmup)
    key = jax.random.key(seed)
    if not family.traceable:
        raise MesascopeError(f"{family.name} cannot be traced by JAX.", "Train on linear_regression, say.")

    def begin() -> tuple[Recurrent, Any]:
        shape = {k: v for k, v in layout.items() if v or memory in WITH_LAYERS}
        network = initialise(address(key, "weights"), family, memory, width, parts, layout=shape or None)
        refuse_acts(network, family)
        return network, ADAM.init(eqx.filter(network, eqx.is_array))

    @functools.cache
    def plan() -> Plan:  # computed on the first update, after the settings have been checked
        gain_scale = find_scale(family)
        return Plan(room=gain_scale.best - gain_scale.chance, **data)

    def improve(key: jax.Array, number: jax.Array, network: Recurrent, memory: Any):
        return update(key, number, network, memory, family, plan=plan(), lifetimes=lifetimes)

    return train("in_context_transformer", family, settings, improve, out, progress=progress, begin=begin)


def refuse_acts(network: Recurrent, family: Family) -> None:
    """Raises MesascopeError if the network's observations depend on its actions, or if the family shows no target."""
    key, other = jax.random.key(0), 1 if family.choices is not None else 1.0

    @eqx.filter_jit
    def encode_batch(act):
        rollout = roll_out(key, family, family.draw(key, 2), act)
        return jax.vmap(network.encode)(rollout.before), jax.vmap(family.target)(rollout.after)

    (one, target), (two, _) = encode_batch(0 * other), encode_batch(other)
    if not np.array_equal(one, two):
        raise MesascopeError(
            f"In {family.name}, {'+'.join(network.observes)} depends on the actions.",
            "Leave parts out of observes, or use the recipe predict, which runs every lifetime.",
        )
    if target is None:
        raise MesascopeError(
            f"{family.name} does not show what the network should have predicted.",
            "Train on a family that does, such as linear_regression or markov_chain.",
        )


def roll_out(key: jax.Array, family: Family, tasks: Any, act: Any = 0) -> Rollout:
    """Runs a batch of lifetimes with the same action on every trial.

    Args:
        key: the key of this batch.
        family: the family of the tasks.
        tasks: the tasks of the lifetimes, with leading axis N.
        act: the action on every trial.
    """
    start = family.begin(address(key, "begin"), tasks)
    dtype = jnp.float32 if family.choices is None else jnp.int32
    acts = jnp.full(start[1].action.shape, act, dtype)

    def run_trial(life, t):
        state, percept = life
        trial_key = address(key, "pay", t)
        next_state, after, _ = family.step(trial_key, tasks, state, acts)
        return (next_state, after), Rollout(percept, state, after, trial_key)

    return jax.lax.scan(run_trial, start, jnp.arange(family.horizon))[1]


@eqx.filter_jit
def update(
    key: jax.Array, number: jax.Array, network: Recurrent, state: Any, family: Family, *, plan: Plan, lifetimes: int
) -> tuple[Recurrent, Any, jax.Array]:
    """Improves the network's predictions on one batch, with one step of Adam.

    Args:
        key: the key of this update.
        number: the number of updates before this one.
        network: the network before this update.
        state: Adam's memory.
        family: the family of the tasks.
        plan: the settings of the update.
        lifetimes: the number of lifetimes in the batch.

    Returns:
        The network and Adam's memory after the update, and the batch's mean score.
    """
    tasks = find_split(family).draw(address(key, "tasks"), lifetimes)
    rollout = roll_out(address(key, "lives"), family, tasks)
    arrays, static = eqx.partition(network, eqx.is_array)

    def objective(arrays):
        return loss(eqx.combine(arrays, static), family, tasks, rollout, plan.room)

    slope, score = jax.grad(objective, has_aux=True)(arrays)
    change, state = ADAM.update(slope, state)
    warmup_factor = jnp.minimum((number + 1) / jnp.maximum(plan.warmup, 1), 1.0)
    past = jnp.maximum(number - plan.warmup, 0) / jnp.maximum(plan.updates - plan.warmup, 1)
    size = plan.final_rate + (plan.rate - plan.final_rate) * 0.5 * (1 + jnp.cos(jnp.pi * past))
    arrays = jax.tree.map(lambda a, c: a - warmup_factor * size * c, arrays, change)
    return eqx.combine(arrays, static), state, score


def loss(
    network: Recurrent, family: Family, tasks: Any, rollout: Rollout, room: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The loss per trial and the mean score. The loss is minus the score in units of `room`, or log-loss in nats."""
    features = network.memory.unroll(jax.vmap(network.encode)(rollout.before))
    if network.choices is None:
        acts = network.number(features)
        score = jax.vmap(lambda key, state, act: family.step(key, tasks, state, act)[2])
        mean = score(rollout.key, rollout.state, acts).mean()
        return -mean / room, mean
    target = jnp.asarray(jax.vmap(family.target)(rollout.after))
    log_probs = jnp.take_along_axis(network.log_probs(features), target[..., None], -1)
    return -log_probs.mean(), jnp.exp(log_probs).mean()
