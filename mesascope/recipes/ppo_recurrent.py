"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) over whole lifetimes.

Every update lives a batch of lifetimes and improves the network on them; one compiled function does both. The
subject sees the noisy pay-off; the training reward is the expected one, scaled by the family's own chance and
best (`gains`), which only removes variance.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained, silent
from mesascope.keys import address
from mesascope.recipes.descent import Plan, check, descend, falling
from mesascope.recipes.lives import Put, Scale, gains, live, mean, per_trial, put, scale, spread, standard
from mesascope.recipes.updates import train


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
    check(settings)
    return train_policy("ppo_recurrent", family, settings, clipped, out, progress=progress)


class PolicyLoss(Protocol):
    """What policy and critic are improved on."""

    def __call__(self, network: Recurrent, batch: Batch, plan: Plan, entropy: jax.Array, /) -> jax.Array:
        """The loss [] of a network on a batch, with a weight of the policy's entropy."""
        ...


def train_policy(
    recipe: str,
    family: Family,
    settings: dict[str, Any],
    loss: PolicyLoss,
    out: str | os.PathLike,
    *,
    progress: Callable[[Progress], None],
) -> Trained:
    """Trains policy and critic of a network on lifetimes of its own; arguments as in `updates.train`."""
    plan, span = Plan.of(settings), scale(family)

    def improve(key: jax.Array, number: jax.Array, network: Recurrent, memory: Any):
        tried = put(family, address(key, "tasks"), settings["lifetimes"])
        return update(key, number, network, memory, family, tried=tried, span=span, plan=plan, loss=loss)

    return train(recipe, family, settings, improve, out, progress=progress)


def clipped(network: Recurrent, batch: Batch, plan: Plan, entropy: jax.Array) -> jax.Array:
    """The clipped surrogate, the critic's squared error and the entropy bonus."""
    features = network.memory.unroll(batch.encoded)
    log_probs = network.log_probs(features)
    log_prob = jnp.take_along_axis(log_probs, batch.action[..., None], -1)[..., 0]
    advantage = standard(batch.advantage, batch.there)
    ratio = jnp.exp(log_prob - batch.log_prob)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - plan.clip, 1.0 + plan.clip) * advantage)
    error = mean(jnp.square(network.worth(features) - batch.worth), batch.there)
    return -mean(gain, batch.there) + 0.5 * error - entropy * spread(log_probs, batch.there)


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
    loss: PolicyLoss = clipped,
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
        loss: what is to fall.

    Returns:
        The network and Adam's memory after it, and the batch's mean score.
    """
    lives = live(address(key, "lives"), network, family, tried.tasks)
    gained = gains(lives, tried.best, span, plan.discount, plan.trace)
    batch = Batch(lives.encoded, lives.action, lives.log_prob, *gained, lives.there)
    entropy = falling(plan.entropy, 0.0, number, plan.updates)

    def cost(network: Recurrent, part: Batch) -> jax.Array:
        return loss(network, part, plan, entropy)

    network, state = descend(key, network, state, batch, loss=cost, plan=plan, number=number)
    return network, state, per_trial(lives, tried.best)
