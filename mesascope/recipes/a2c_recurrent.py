"""Advantage actor-critic (Mnih et al. 2016, arXiv 1602.01783) over whole lifetimes.

By default, the recipe trains the network of Wang et al. (2016, arXiv 1611.05763), an LSTM with 48 units that observes
its last action, the last pay-off and the trial index. Every update runs a batch of lifetimes and takes one step of
Adam on this batch. The function `compute_targets` defines the training reward.
"""

import jax

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts import Family, FolderPath, OnProgress, TrainingSummary, ignore_progress
from mesascope.recipes.descent import Number, UpdateSettings, collect_settings
from mesascope.recipes.lifetimes import average
from mesascope.recipes.ppo_recurrent import PolicyExamples, compute_loss_terms, make_policy_update
from mesascope.recipes.updates import train_network


def recipe(
    family: Family,
    out: FolderPath,
    *,
    memory: str = "lstm",
    width: int = 48,
    observes: str = "action+feedback+trial",
    updates: int = 2000,
    lifetimes: int = 128,
    rate: float = 3e-3,
    final_rate: float = 1e-4,
    entropy_weight: float = 0.05,
    critic_weight: float = 0.5,
    discount: float = 0.98,
    gae_lambda: float = 1.0,
    seed: int = 0,
    progress: OnProgress = ignore_progress,
) -> TrainingSummary:
    """Trains a network, by default an LSTM, by advantage actor-critic.

    Args:
        family: the training family. The tasks are those of its bank if it has one, otherwise unlimited fresh tasks.
        out: the folder for network.safetensors. An unfinished training run in this folder is continued.
        memory: the network's kind of memory, which is none, gru, lstm, transformer, linear_attention or lru.
        width: the number of units in a layer of the network.
        observes: the parts of the percept given to the network, joined by +; without the part 'feedback', the network
            does not observe the pay-off.
        updates: the number of batches; each is one step of Adam.
        lifetimes: the number of lifetimes in a batch.
        rate: Adam's step size at the start; it falls linearly.
        final_rate: Adam's step size at the end.
        entropy_weight: the weight of the policy's entropy at the start; it falls linearly to 0.
        critic_weight: the weight of the critic's squared error.
        discount: the discount of future reward, per step.
        gae_lambda: λ of the generalised advantage estimate; 1 uses the returns of the whole lifetime.
        seed: the seed of the weights, the tasks and all random draws.
        progress: a function that is called with a `Progress` after every update.

    Raises:
        MesascopeError: a setting is out of range, or the folder contains another training run.
    """
    settings = collect_settings(locals())
    update = make_policy_update(family, settings, compute_policy_gradient_loss)
    return train_network("a2c_recurrent", family, settings, update, out, progress=progress)


def compute_policy_gradient_loss(
    network: Recurrent,
    features: jax.Array,
    batch: PolicyExamples,
    update_settings: UpdateSettings,
    entropy_weight: Number,
    /,
) -> jax.Array:
    """Computes the loss: the policy-gradient surrogate, plus the critic's squared error, minus the entropy bonus."""
    log_prob, advantage, error, entropy = compute_loss_terms(network, features, batch)
    return -average(log_prob * advantage, batch.mask) + update_settings.critic_weight * error - entropy_weight * entropy
