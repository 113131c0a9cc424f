"""Sequence prediction with log-loss (Ortega et al. 2019, arXiv 1905.03030), in families that show the target.

The network's distribution over the actions is its prediction. After every trial, `family.read_target` reads from the
percept what the network should have predicted. This is the target of the cross-entropy.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts import Family, FolderPath, OnProgress, TrainingSummary, ignore_progress
from mesascope.errors import require
from mesascope.recipes.descent import collect_settings
from mesascope.recipes.lifetimes import Lifetimes, run_lifetimes
from mesascope.recipes.updates import Batch, Objective, make_update, train_network

CHECK_FAMILY = "beta_bernoulli:a=2,trials=12,bank=2"  # the family on which `mesascope check` tries the recipe
CHECK_SETTINGS = {"width": 8, "lifetimes": 8, "minibatches": 2}  # the settings for that check


def recipe(
    family: Family,
    out: FolderPath,
    *,
    memory: str = "gru",
    width: int = 64,
    observes: str = "trial+first+observation",
    updates: int = 500,
    lifetimes: int = 512,
    minibatches: int = 4,
    rate: float = 3e-3,
    final_rate: float = 1e-5,
    seed: int = 0,
    progress: OnProgress = ignore_progress,
) -> TrainingSummary:
    """Trains a network with log-loss to predict what comes next.

    Args:
        family: the training family, which must show the target. The tasks are those of its bank if it has one,
            otherwise unlimited fresh tasks.
        out: the folder for network.safetensors. An unfinished training run in this folder is continued.
        memory: the network's kind of memory, which is none, gru, lstm, transformer, linear_attention or lru.
        width: the number of units in a layer of the network.
        observes: the parts of the percept given to the network, joined by +.
        updates: the number of batches.
        lifetimes: the number of lifetimes in a batch.
        minibatches: the number of parts of a batch; each is one step of Adam.
        rate: Adam's step size at the start; it falls linearly.
        final_rate: Adam's step size at the end.
        seed: the seed of the weights, the tasks and all random draws.
        progress: a function that is called with a `Progress` after every update.

    Raises:
        MesascopeError: a setting is out of range, the family does not show the target, or the folder contains another
            training run.
    """
    settings = collect_settings(locals())
    require(
        shows_target(family),
        f"{family.name} does not show what the network should have predicted.",
        "Train on a family that does, such as beta_bernoulli, or by another recipe.",
    )
    update = make_update(family, settings, make_prediction_objective)
    return train_network("predict", family, settings, update, out, progress=progress)


def shows_target(family: Family) -> bool:
    """Checks whether a family's percepts show what the network should have predicted."""
    key = jax.random.key(0)
    return eqx.filter_eval_shape(lambda: family.read_target(family.begin(key, family.draw(key, 1))[1])) is not None


def make_prediction_objective(network: Recurrent, batch: Batch, /) -> Objective:
    """Runs a batch of lifetimes, and returns the objective of predicting the targets along them."""
    lifetimes = run_lifetimes(batch.key, network, batch.family, batch.tasks)
    return lifetimes, compute_log_loss, lifetimes.score.mean()


def compute_log_loss(network: Recurrent, batch: Lifetimes) -> jax.Array:
    """Computes the network's mean log-loss of a trial in a batch of lifetimes, in nats."""
    log_probs = network.compute_log_probs(network.memory.unroll(batch.inputs))
    return -jnp.take_along_axis(log_probs, batch.target[..., None], -1).mean()
