"""Advantage actor-critic (Mnih et al. 2016, arXiv 1602.01783) over whole lifetimes, as Wang et al. (2016) used it.

arXiv 1611.05763: an LSTM of 48 units that is told its last act, the last pay-off and the trial index. Every update
lives a batch of lifetimes and takes one step on it. The training reward is that of `gains`.
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
from mesascope.recipes.descent import COUNTED, JUDGED, STEPPED, check, descend, falling, numbers, rest
from mesascope.recipes.lives import Put, Scale, gains, live, mean, per_trial, put, scale, spread, standard
from mesascope.recipes.updates import Training, train


class Plan(NamedTuple):
    """The settings of an update, as data."""

    updates: jax.Array
    rate: jax.Array
    final_rate: jax.Array
    entropy: jax.Array
    critic: jax.Array
    discount: jax.Array
    trace: jax.Array


class Batch(NamedTuple):
    """What one batch of lifetimes leaves to train on, each [T, N], the encoded percepts [T, N, F]."""

    encoded: jax.Array
    action: jax.Array
    advantage: jax.Array
    worth: jax.Array  # what the critic should have said
    there: Any  # whether the step was lived, None where all were


def recipe(
    family: Family,
    out: str | os.PathLike,
    *,
    memory: str = "lstm",
    width: int = 48,
    observes: str = "action+feedback+trial",
    updates: int = 2000,
    lifetimes: int = 128,
    rate: float = 3e-3,
    final_rate: float = 1e-4,
    entropy: float = 0.05,
    critic: float = 0.5,
    discount: float = 0.98,
    trace: float = 1.0,
    seed: int = 0,
    progress: Callable[[Progress], None] = silent,
) -> Trained:
    """Trains an LSTM of 48 units by advantage actor-critic, told its last act, the last pay-off and the trial.

    Args:
        family: what it is trained on: its bank where it has one, else unlimited fresh tasks.
        out: the folder for network.safetensors; a training begun there with the same settings goes on.
        memory: none, gru, lstm, transformer or lru.
        width: units.
        observes: parts of the percept, joined by +; without feedback the pay-off is no input.
        updates: batches in all, each one step of Adam.
        lifetimes: in a batch.
        rate: Adam's step size at the start, falling linearly.
        final_rate: the same at the end.
        entropy: weight of the policy's entropy at the start, falling linearly to 0.
        critic: weight of the critic's squared error.
        discount: of the reward to come, per step.
        trace: λ of the generalised advantage estimate; 1 for the returns of the whole lifetime.
        seed: of the weights, the tasks and all draws.
        progress: called after every update.

    Raises:
        MesascopeError: a setting is out of range, or the folder holds another training.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    check(settings, **COUNTED, **STEPPED, **JUDGED, entropy=(0.0, 10.0), critic=(0.0, 10.0))
    plan = Plan(**numbers(**{k: settings[k] for k in Plan._fields}))
    key, span = jax.random.key(seed), scale(family)

    def begin() -> tuple[Recurrent, Any]:
        network = begun(address(key, "weights"), family, memory, width, observes)
        return network, rest(network)

    def after(number: int, network: Recurrent, state: Any) -> tuple[Recurrent, Any, jax.Array]:
        own = address(key, "update", number)
        batch = put(family, address(own, "tasks"), lifetimes)
        return update(own, jnp.asarray(number), network, state, family, tried=batch, span=span, plan=plan)

    return train(Training("a2c_recurrent", family, settings, updates, lifetimes), begin, after, out, progress)


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
    """Lives one batch and takes one step on it; arguments and results as in `ppo_recurrent.update`."""
    lives = live(address(key, "lives"), network, family, tried.tasks)
    gained = gains(lives, tried.best, span, plan.discount, plan.trace)
    batch = Batch(lives.encoded, lives.action, *gained, lives.there)
    entropy = falling(plan.entropy, 0.0, number, plan.updates)
    rate = falling(plan.rate, plan.final_rate, number, plan.updates)

    def cost(network: Recurrent, part: Batch) -> jax.Array:
        return loss(network, part, plan.critic, entropy)

    network, state = descend(key, network, state, batch, cost, rate=rate, epochs=1, minibatches=1)
    return network, state, per_trial(lives, tried.best)


def loss(network: Recurrent, batch: Batch, critic: jax.Array, entropy: jax.Array) -> jax.Array:
    """The policy gradient's surrogate, the critic's squared error and the entropy bonus."""
    features = network.memory.unroll(batch.encoded)
    log_probs = network.log_probs(features)
    log_prob = jnp.take_along_axis(log_probs, batch.action[..., None], -1)[..., 0]
    advantage = standard(batch.advantage, batch.there)
    error = mean(jnp.square(network.worth(features) - batch.worth), batch.there)
    return (
        -mean(log_prob * advantage, batch.there) + critic * error - entropy * spread(log_probs, batch.there)
    )
