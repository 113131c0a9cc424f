"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) over whole lifetimes.

In every update, one compiled function runs a batch of lifetimes and improves the network on them. The subject observes
the noisy pay-off. The training reward is the expected pay-off, scaled by the family's chance and best pay-off
(`gains`). Using the expected instead of the noisy pay-off only removes variance.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained, ignore_progress
from mesascope.recipes.descent import Number, Plan, check, interpolate
from mesascope.recipes.lives import Scale, find_gains, find_scale, live, mean, mean_entropy, mean_score, standardise
from mesascope.recipes.updates import Batch, Objective, improve_on_lifetimes, train


class Lived(NamedTuple):
    """A batch of lifetimes as training examples. The encoded percepts are [T, N, F], all other arrays [T, N]."""

    encoded: Any
    action: Any
    log_prob: Any
    advantage: Any
    worth: Any  # the target of the critic
    mask: Any = None  # whether the step happened; None if all steps happened


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
    progress: Callable[[Progress], None] = ignore_progress,
) -> Trained:
    """Trains a network, with or without memory, by proximal policy optimisation.

    Args:
        family: the training family; training uses its bank if it has one, else unlimited fresh tasks.
        out: the folder for network.safetensors; a training run that began there with the same settings continues.
        memory: none, gru, lstm, transformer or lru.
        width: the number of units.
        observes: the parts of the percept given to the network, joined by +.
        updates: the number of batches.
        lifetimes: the number of lifetimes in a batch.
        epochs: the number of passes over a batch.
        minibatches: the number of parts of a batch; each is one step of Adam.
        rate: Adam's step size at the start; it falls linearly.
        final_rate: Adam's step size at the end.
        entropy: the weight of the policy's entropy at the start; it falls linearly to 0.
        discount: the discount of future reward, per step.
        trace: λ of the generalised advantage estimate.
        clip: the probability ratio is clipped to 1 ± clip.
        seed: the seed of the weights, the tasks and all random draws.
        progress: called after every update.

    Raises:
        MesascopeError: a setting is out of range, or the folder contains another training run.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    check(settings)
    update = improve_on_lifetimes(family, settings, Partial(practise, span=find_scale(family), loss=clipped_loss))
    return train("ppo_recurrent", family, settings, update, out, progress=progress)


class PolicyLoss(Protocol):
    """A loss of policy and critic."""

    def __call__(
        self, network: Recurrent, features: jax.Array, batch: Lived, plan: Plan, entropy: Number, /
    ) -> jax.Array:
        """The loss [] of a network, given its features along a batch and the weight of the policy's entropy."""
        ...


class Terms(NamedTuple):
    """The log-probabilities and standardised advantages of a batch's actions, the critic's error, and the entropy."""

    log_prob: jax.Array
    advantage: jax.Array
    error: jax.Array
    entropy: jax.Array


def loss_terms(network: Recurrent, features: jax.Array, batch: Lived) -> Terms:
    """Computes the terms from which the losses of policy and critic are made."""
    log_probs = network.log_probs(features)
    log_prob = jnp.take_along_axis(log_probs, batch.action[..., None], -1)[..., 0]
    advantage = standardise(batch.advantage, batch.mask)
    error = mean(jnp.square(network.worth(features) - batch.worth), batch.mask)
    return Terms(log_prob, advantage, error, mean_entropy(log_probs, batch.mask))


def clipped_loss(network: Recurrent, features: jax.Array, batch: Lived, plan: Plan, entropy: Number, /) -> jax.Array:
    """The loss with the clipped surrogate, the critic's squared error and the entropy bonus."""
    terms = loss_terms(network, features, batch)
    ratio = jnp.exp(terms.log_prob - batch.log_prob)
    clipped = jnp.clip(ratio, 1.0 - plan.clip, 1.0 + plan.clip)
    gain = jnp.minimum(ratio * terms.advantage, clipped * terms.advantage)
    return -mean(gain, batch.mask) + 0.5 * terms.error - entropy * terms.entropy


def practise(network: Recurrent, batch: Batch, /, *, span: Scale, loss: PolicyLoss) -> Objective:
    """Runs a batch of the network's own lifetimes, and returns the objective of reinforcement learning on them.

    Args:
        network: the network that acts and learns.
        batch: the lifetimes to run.
        span: the mean pay-off by chance and at best.
        loss: the loss of policy and critic.
    """
    plan, best = batch.plan, batch.task_batch.best
    lives = live(batch.key, network, batch.family, batch.task_batch.tasks)
    gained = find_gains(lives, best, span, plan.discount, plan.trace)
    entropy = interpolate(plan.entropy, 0.0, batch.number, plan.updates)

    def part_loss(network: Recurrent, part: Lived) -> jax.Array:
        return loss(network, network.memory.unroll(part.encoded), part, plan, entropy)

    examples = Lived(lives.encoded, lives.action, lives.log_prob, *gained, lives.mask)
    return Objective(examples, part_loss, mean_score(lives, best))
