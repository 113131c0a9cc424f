"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) over whole lifetimes.

In every update, one compiled function runs a batch of lifetimes and improves the network on them. The subject observes
the noisy pay-off. The training reward is the expected pay-off, scaled by the family's chance and best pay-off
(`compute_targets`). The expected pay-off gives the same mean gradient as the noisy pay-off, with less variance.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts import Family, FolderPath, OnProgress, TrainingSummary, ignore_progress
from mesascope.recipes.descent import Number, UpdateSettings, collect_settings, interpolate
from mesascope.recipes.lifetimes import (
    Scale,
    average,
    compute_mean_score,
    compute_scale,
    compute_targets,
    run_lifetimes,
    standardise,
)
from mesascope.recipes.updates import Batch, Objective, Update, make_update, train_network


class PolicyExamples(NamedTuple):
    """A batch of lifetimes as training examples, in arrays with axes step, lifetime, and for `inputs` also input."""

    inputs: Any
    action: Any
    log_prob: Any
    advantage: Any
    value_target: Any  # the target of the critic
    mask: Any = None  # whether the step took place; None if all steps did


# the loss [] of policy and critic, from the network, its features, the examples, the settings and the entropy's weight
PolicyLoss = Callable[[Recurrent, jax.Array, PolicyExamples, UpdateSettings, Number], jax.Array]


def recipe(
    family: Family,
    out: FolderPath,
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
    entropy_weight: float = 0.02,
    discount: float = 0.98,
    gae_lambda: float = 0.95,
    clip: float = 0.2,
    seed: int = 0,
    progress: OnProgress = ignore_progress,
) -> TrainingSummary:
    """Trains a network, with or without memory, by proximal policy optimisation.

    Args:
        family: the training family. The tasks are those of its bank if it has one, otherwise unlimited fresh tasks.
        out: the folder for network.safetensors. An unfinished training run in this folder is continued.
        memory: the network's kind of memory, which is none, gru, lstm, transformer, linear_attention or lru.
        width: the number of units in a layer of the network.
        observes: the parts of the percept given to the network, joined by +.
        updates: the number of batches.
        lifetimes: the number of lifetimes in a batch.
        epochs: the number of passes over a batch.
        minibatches: the number of parts of a batch; each is one step of Adam.
        rate: Adam's step size at the start; it falls linearly.
        final_rate: Adam's step size at the end.
        entropy_weight: the weight of the policy's entropy at the start; it falls linearly to 0.
        discount: the discount of future reward, per step.
        gae_lambda: λ of the generalised advantage estimate.
        clip: how far the ratio of an action's new to its old probability can depart from 1 before it is clipped.
        seed: the seed of the weights, the tasks and all random draws.
        progress: a function that is called with a `Progress` after every update.

    Raises:
        MesascopeError: a setting is out of range, or the folder contains another training run.
    """
    settings = collect_settings(locals())
    update = make_policy_update(family, settings, compute_clipped_loss)
    return train_network("ppo_recurrent", family, settings, update, out, progress=progress)


def make_policy_update(family: Family, settings: dict[str, Any], policy_loss: PolicyLoss) -> Update:
    """Makes an update that trains the network by reinforcement learning, and minimises a loss of policy and critic."""
    objective = Partial(make_policy_objective, scale=compute_scale(family), policy_loss=policy_loss)
    return make_update(family, settings, objective)


def compute_loss_terms(network: Recurrent, features: jax.Array, batch: PolicyExamples) -> tuple[jax.Array, ...]:
    """Computes the terms of the losses of policy and critic.

    Returns:
        The actions' log-probabilities and their standardised advantages, each [T, N] for T steps of N lifetimes; the
        critic's mean squared error and the policy's mean entropy, both scalars.
    """
    log_probs = network.compute_log_probs(features)
    log_prob = jnp.take_along_axis(log_probs, batch.action[..., None], -1)[..., 0]
    error = average(jnp.square(network.estimate_return(features) - batch.value_target), batch.mask)
    entropy = -average((jnp.exp(log_probs) * log_probs).sum(-1), batch.mask)
    return log_prob, standardise(batch.advantage, batch.mask), error, entropy


def compute_clipped_loss(
    network: Recurrent,
    features: jax.Array,
    batch: PolicyExamples,
    update_settings: UpdateSettings,
    entropy_weight: Number,
    /,
) -> jax.Array:
    """Computes the loss: the clipped surrogate, plus half of the critic's squared error, minus the entropy bonus."""
    log_prob, advantage, error, entropy = compute_loss_terms(network, features, batch)
    ratio = jnp.exp(log_prob - batch.log_prob)
    clipped_ratio = jnp.clip(ratio, 1.0 - update_settings.clip, 1.0 + update_settings.clip)
    surrogate = jnp.minimum(ratio * advantage, clipped_ratio * advantage)
    return -average(surrogate, batch.mask) + 0.5 * error - entropy_weight * entropy


def make_policy_objective(network: Recurrent, batch: Batch, /, *, scale: Scale, policy_loss: PolicyLoss) -> Objective:
    """Runs a batch of the network's own lifetimes, and returns the objective of reinforcement learning on them.

    Args:
        network: the network that acts and learns.
        batch: the lifetimes to run.
        scale: the mean pay-off of random actions, and of the best actions, on the family's training tasks.
        policy_loss: the loss of policy and critic.
    """
    plan = batch.update_settings
    lifetimes = run_lifetimes(batch.key, network, batch.family, batch.tasks)
    advantage, value_target = compute_targets(lifetimes, batch.best, scale, plan.discount, plan.gae_lambda)
    entropy_weight = interpolate(plan.entropy_weight, 0.0, batch.updates_done, plan.updates)

    def compute_minibatch_loss(network: Recurrent, minibatch: PolicyExamples) -> jax.Array:
        features = network.memory.unroll(minibatch.inputs)
        return policy_loss(network, features, minibatch, plan, entropy_weight)

    examples = PolicyExamples(
        lifetimes.inputs, lifetimes.action, lifetimes.log_prob, advantage, value_target, lifetimes.mask
    )
    return examples, compute_minibatch_loss, compute_mean_score(lifetimes, batch.best)
