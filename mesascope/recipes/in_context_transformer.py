"""Trains a decoder on whole lifetimes at once to predict in context (Garg et al. 2022, arXiv 2208.01066).

The percepts of a prediction family do not depend on the actions. So the recipe runs a batch once without the network,
and the network then predicts on all trials in one pass. For real actions, the loss is minus the family's score. For
choices, it is the log-loss of the target (`family.read_target`).
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from mesascope.agents.networks.recurrent import MEMORIES_WITH_LAYERS, Recurrent, create_network_for_family
from mesascope.contracts import (
    Family,
    FolderPath,
    OnProgress,
    Percept,
    TrainingSummary,
    convert_to_arrays,
    ignore_progress,
)
from mesascope.errors import require
from mesascope.keys import derive_key
from mesascope.recipes.descent import NO_LIMIT, collect_settings
from mesascope.recipes.lifetimes import compute_scale, find_training_split
from mesascope.recipes.updates import train_network

ADAM = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.98, eps=1e-8))
DEFAULT_DEPTH, DEFAULT_HEADS = 3, 4
CHECK_FAMILY = (
    "linear_regression:dimension=3,trials=12,bank=2"  # the family on which `mesascope check` tries the recipe
)
CHECK_SETTINGS = {"width": 8, "lifetimes": 8}  # the settings for that check


TracedSettings = dict[
    str, jax.Array
]  # the settings updates, rate, final_rate and warmup, and payoff_range: best minus chance


class Rollout(NamedTuple):
    """A batch of N lifetimes of T trials, in arrays with leading axes T, N.

    Attributes:
        percept: the percept before each trial.
        state: the task's state before each trial.
        next_percept: the percept after each trial.
        key: [T] the random key of each trial, with which `family.step` ran.
    """

    percept: Percept
    state: Any
    next_percept: Percept
    key: jax.Array


def recipe(
    family: Family,
    out: FolderPath,
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
    progress: OnProgress = ignore_progress,
) -> TrainingSummary:
    """Trains a transformer, linear attention or a GRU to predict in context.

    Args:
        family: the training family, whose percepts must not depend on the actions. The tasks are those of its bank if
            it has one, otherwise unlimited fresh tasks.
        out: the folder for network.safetensors. An unfinished training run in this folder is continued.
        memory: the network's kind of memory, which is transformer, linear_attention, gru, lstm, lru or none.
        width: the number of units in a layer of the network.
        depth: the number of attention layers. 0 means three layers, or none if the memory has no layers.
        heads: the number of heads in each layer. 0 means four heads, or none if the memory has no layers.
        observes: the parts of the percept given to the network, joined by +. By default these are 'first' and
            'observation', and for real actions also 'feedback', which is then the outcome itself.
        updates: the number of batches; each is one step of Adam.
        lifetimes: the number of lifetimes in a batch.
        rate: Adam's step size after the warm-up; it falls as a half cosine.
        final_rate: Adam's step size at the end.
        warmup: the number of updates over which the step size rises from 0.
        seed: the seed of the weights, the tasks and all random draws.
        progress: a function that is called with a `Progress` after every update.

    Raises:
        MesascopeError: a setting is out of range, the family's percepts depend on the actions or do not show the
            target, or the folder contains another training run.
    """
    settings = collect_settings(locals(), warmup=(0, NO_LIMIT))
    has_layers, has_real_actions = memory in MEMORIES_WITH_LAYERS, family.choices is None
    parts = observes or ("first+observation+feedback" if has_real_actions else "first+observation")
    default_depth, default_heads = (DEFAULT_DEPTH, DEFAULT_HEADS) if has_layers else (0, 0)
    layout = {"depth": depth or default_depth, "heads": heads or default_heads}
    key = jax.random.key(seed)
    require(family.is_traceable, f"{family.name} cannot be traced by JAX.", "Train on linear_regression, say.")

    def make_initial_state() -> tuple[Recurrent, Any]:
        nonzero_layout = {k: v for k, v in layout.items() if v} or None
        network = create_network_for_family(
            derive_key(key, "weights"), family, memory, width, parts, layer_settings=nonzero_layout
        )
        refuse_dependence_on_actions(network, family)
        return network, ADAM.init(eqx.filter(network, eqx.is_array))

    @functools.cache
    def make_traced_settings() -> TracedSettings:  # on the first update, after the settings have been checked
        scale = compute_scale(family)
        numbers = convert_to_arrays(updates=updates, rate=rate, final_rate=final_rate, warmup=warmup)
        return {**numbers, "payoff_range": scale.best - scale.chance}

    def update(key: jax.Array, updates_done: jax.Array, network: Recurrent, adam_state: Any):
        return update_network(key, updates_done, network, adam_state, family, make_traced_settings(), lifetimes)

    return train_network("in_context_transformer", family, settings, update, out, progress, make_initial_state)


def refuse_dependence_on_actions(network: Recurrent, family: Family) -> None:
    """Raises MesascopeError if the network's observations depend on its actions, or if the family shows no target."""
    key, other_action = jax.random.key(0), 1 if family.choices is not None else 1.0

    @eqx.filter_jit
    def encode_batch(action):
        rollout = run_batch(key, family, family.draw(key, 2), action)
        return jax.vmap(network.encode)(rollout.percept), jax.vmap(family.read_target)(rollout.next_percept)

    (encoded, target), (encoded_after_other, _) = encode_batch(0 * other_action), encode_batch(other_action)
    require(
        np.array_equal(encoded, encoded_after_other),
        f"In {family.name}, {'+'.join(network.observes)} depends on the actions.",
        "Leave parts out of observes, or use the recipe predict, which runs every lifetime.",
    )
    require(
        target is not None,
        f"{family.name} does not show what the network should have predicted.",
        "Train on a family that does, such as linear_regression or markov_chain.",
    )


def run_batch(key: jax.Array, family: Family, tasks: Any, action: Any = 0) -> Rollout:
    """Runs a batch of lifetimes with the same action on every trial.

    Args:
        key: the key of this batch.
        family: the family of the tasks.
        tasks: the tasks of the lifetimes, with leading axis N.
        action: the action that all lifetimes take on every trial.
    """
    start = family.begin(derive_key(key, "begin"), tasks)
    actions = jnp.full(start[1].action.shape, action, jnp.float32 if family.choices is None else jnp.int32)

    def run_trial(state_before, t):
        state, percept = state_before
        trial_key = derive_key(key, "pay", t)
        next_state, next_percept, _ = family.step(trial_key, tasks, state, actions)
        return (next_state, next_percept), Rollout(percept, state, next_percept, trial_key)

    return jax.lax.scan(run_trial, start, jnp.arange(family.horizon))[1]


@eqx.filter_jit
def update_network(
    key: jax.Array,
    updates_done: jax.Array,
    network: Recurrent,
    adam_state: Any,
    family: Family,
    settings: TracedSettings,
    lifetime_count: int,
) -> tuple[Recurrent, Any, jax.Array]:
    """Improves the network's predictions on one batch, with one step of Adam.

    Args:
        key: the key of this update.
        updates_done: the number of updates before this one.
        network: the network before this update.
        adam_state: Adam's state before this update.
        family: the family of the tasks.
        settings: the settings of the recipe that JAX traces, and the pay-off range (best minus chance).
        lifetime_count: the number of lifetimes in the batch.

    Returns:
        The network and Adam's state after the update, and the batch's mean score.
    """
    tasks = find_training_split(family).draw(derive_key(key, "tasks"), lifetime_count)
    rollout = run_batch(derive_key(key, "lives"), family, tasks)
    arrays, static = eqx.partition(network, eqx.is_array)

    def compute_loss_of_arrays(arrays):
        return compute_loss(eqx.combine(arrays, static), family, tasks, rollout, settings["payoff_range"])

    gradient, score = jax.grad(compute_loss_of_arrays, has_aux=True)(arrays)
    direction, adam_state = ADAM.update(gradient, adam_state)
    warmup_factor = jnp.minimum((updates_done + 1) / jnp.maximum(settings["warmup"], 1), 1.0)
    share_done = jnp.maximum(updates_done - settings["warmup"], 0) / jnp.maximum(
        settings["updates"] - settings["warmup"], 1
    )
    rate = settings["final_rate"] + (settings["rate"] - settings["final_rate"]) * 0.5 * (
        1 + jnp.cos(jnp.pi * share_done)
    )
    arrays = jax.tree.map(lambda a, d: a - warmup_factor * rate * d, arrays, direction)
    return eqx.combine(arrays, static), adam_state, score


def compute_loss(
    network: Recurrent, family: Family, tasks: Any, rollout: Rollout, payoff_range: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Computes the network's mean loss per trial, and its mean score, on a batch of lifetimes.

    For real actions, the loss is minus the score, in units of the pay-off range. For choices, the loss is the log-loss
    in nats, and the score is the probability of the target.
    """
    features = network.memory.unroll(jax.vmap(network.encode)(rollout.percept))
    if network.choices is None:
        score_trials = jax.vmap(lambda key, state, action: family.step(key, tasks, state, action)[2])
        score = score_trials(rollout.key, rollout.state, network.compute_action(features)).mean()
        return -score / payoff_range, score
    target = jnp.asarray(jax.vmap(family.read_target)(rollout.next_percept))
    log_probs = jnp.take_along_axis(network.compute_log_probs(features), target[..., None], -1)
    return -log_probs.mean(), jnp.exp(log_probs).mean()
