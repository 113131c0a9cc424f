"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) over whole lifetimes.

Every update lives a batch of lifetimes and improves the network on them; one compiled function does both. The
subject sees the noisy pay-off; the training reward is the expected one, scaled by the family's own chance and
best (`gains`), which only removes variance.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.recurrent import Recurrent, begun
from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained, silent
from mesascope.keys import address
from mesascope.recipes.descent import COUNTED, JUDGED, MANY, STEPPED, check, descend, falling, numbers, rest
from mesascope.recipes.lives import Put, Scale, gains, live, mean, per_trial, put, scale, spread, standard
from mesascope.recipes.updates import Training, train


class Plan(NamedTuple):
    """The settings of an update; whole numbers decide what is compiled, the others are data."""

    updates: jax.Array
    epochs: int
    minibatches: int
    rate: jax.Array
    final_rate: jax.Array
    entropy: jax.Array
    discount: jax.Array
    trace: jax.Array
    clip: jax.Array


class Batch(NamedTuple):
    """What one batch of lifetimes leaves to train on, each [T, N], the encoded percepts [T, N, F]."""

    encoded: jax.Array
    action: jax.Array
    log_prob: jax.Array
    advantage: jax.Array
    worth: jax.Array  # what the critic should have said
    there: Any  # whether the step was lived, None where all were


def recipe(
    family: Family,
    out: str | os.PathLike,
    *,
    memory: str = "gru",
    width: int = 64,
    observes: str = "action+feedback+trial+first+observation",
    updates: int = 500,
    lifetimes: int = 512,
    epochs: int = 3,
    minibatches: int = 4,
    rate: float = 3e-3,
    final_rate: float = 1e-4,
    entropy: float = 0.02,
    discount: float = 0.98,
    trace: float = 0.95,
    clip: float = 0.2,
    seed: int = 0,
    progress: Callable[[Progress], None] = silent,
) -> Trained:
    """Trains a network with or without memory by proximal policy optimisation.

    Args:
        family: what it is trained on: its bank where it has one, else unlimited fresh tasks.
        out: the folder for network.safetensors; a training begun there with the same settings goes on.
        memory: none, gru, lstm, transformer or lru.
        width: units.
        observes: parts of the percept, joined by +.
        updates: batches in all.
        lifetimes: in a batch.
        epochs: passes over a batch.
        minibatches: parts of a batch, each one step of Adam.
        rate: Adam's step size at the start, falling linearly.
        final_rate: the same at the end.
        entropy: weight of the policy's entropy at the start, falling linearly to 0.
        discount: of the reward to come, per step.
        trace: λ of the generalised advantage estimate.
        clip: largest change of a probability ratio that is rewarded.
        seed: of the weights, the tasks and all draws.
        progress: called after every update.

    Raises:
        MesascopeError: a setting is out of range, or the folder holds another training.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    check(settings, **COUNTED, **STEPPED, **JUDGED, epochs=(1, MANY), minibatches=(1, MANY))
    check(settings, entropy=(0.0, 10.0), clip=(0.0, 10.0))
    data = numbers(**{k: settings[k] for k in Plan._fields if k not in ("epochs", "minibatches")})
    plan = Plan(epochs=epochs, minibatches=minibatches, **data)
    key, span = jax.random.key(seed), scale(family)

    def begin() -> tuple[Recurrent, Any]:
        network = begun(address(key, "weights"), family, memory, width, observes)
        return network, rest(network)

    def after(number: int, network: Recurrent, state: Any) -> tuple[Recurrent, Any, jax.Array]:
        own = address(key, "update", number)
        batch = put(family, address(own, "tasks"), lifetimes)
        return update(own, jnp.asarray(number), network, state, family, tried=batch, span=span, plan=plan)

    return train(Training("ppo_recurrent", family, settings, updates, lifetimes), begin, after, out, progress)


@eqx.filter_jit
def update(
    key: jax.Array,
    number: jax.Array,
    network: Recurrent,
    state: Any,
    family: Family,
    *,
    tried: Put,
    span: Scale,
    plan: Plan,
) -> tuple[Recurrent, Any, jax.Array]:
    """Lives one batch and improves the network on it.

    Args:
        key: of this update.
        number: of updates before it.
        network: before it.
        state: Adam's memory.
        family: what is lived.
        tried: the batch's tasks.
        span: mean pay-off by chance and at best.
        plan: the settings.

    Returns:
        The network and Adam's memory after it, and the batch's mean score.
    """
    lives = live(address(key, "lives"), network, family, tried.tasks)
    gained = gains(lives, tried.best, span, plan.discount, plan.trace)
    batch = Batch(lives.encoded, lives.action, lives.log_prob, *gained, lives.there)
    entropy = falling(plan.entropy, 0.0, number, plan.updates)
    rate = falling(plan.rate, plan.final_rate, number, plan.updates)

    def cost(network: Recurrent, part: Batch) -> jax.Array:
        return loss(network, part, plan.clip, entropy)

    network, state = descend(
        key, network, state, batch, cost, rate=rate, epochs=plan.epochs, minibatches=plan.minibatches
    )
    return network, state, per_trial(lives, tried.best)


def loss(network: Recurrent, batch: Batch, clip: jax.Array, entropy: jax.Array) -> jax.Array:
    """The clipped surrogate, the critic's squared error and the entropy bonus."""
    features = network.memory.unroll(batch.encoded)
    log_probs = network.log_probs(features)
    log_prob = jnp.take_along_axis(log_probs, batch.action[..., None], -1)[..., 0]
    advantage = standard(batch.advantage, batch.there)
    ratio = jnp.exp(log_prob - batch.log_prob)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage)
    error = mean(jnp.square(network.worth(features) - batch.worth), batch.there)
    return -mean(gain, batch.there) + 0.5 * error - entropy * spread(log_probs, batch.there)
