"""Trains a network to imitate a scripted procedure's action probabilities, and can then improve the network by PPO.

The teacher labels every step of the histories that the network itself generates (DAgger: Ross et al. 2011, arXiv
1011.0686), so the labels cover the states that the network visits. By contrast, Duan et al. (2016, arXiv 1611.02779)
trained on a teacher's own histories. The recipe trains the critic at the same time, so that PPO can start from it.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from mesascope import catalogue
from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts import Family, FolderPath, OnProgress, Subject, TrainingSummary, ignore_progress
from mesascope.errors import require
from mesascope.recipes.descent import NO_LIMIT, SETTING_RANGES, check_settings, collect_settings, make_adam_state
from mesascope.recipes.lifetimes import (
    Lifetimes,
    Scale,
    average,
    compute_mean_score,
    compute_scale,
    compute_targets,
    run_lifetimes,
)
from mesascope.recipes.ppo_recurrent import compute_clipped_loss, make_policy_update
from mesascope.recipes.updates import Batch, Objective, make_update, train_network
from mesascope.rollouts.rollouts import strip_identity


def recipe(
    family: Family,
    out: FolderPath,
    *,
    teacher: str = "gittins",
    memory: str = "gru",
    width: int = 64,
    observes: str = "action+feedback+trial+first+observation",
    updates: int = 500,
    improve_updates: int = 0,
    lifetimes: int = 512,
    led_share: float = 0.25,
    minibatches: int = 4,
    rate: float = 3e-3,
    final_rate: float = 1e-4,
    improve_rate: float = 5e-4,
    improve_final_rate: float = 2e-5,
    improve_epochs: int = 3,
    entropy_weight: float = 0.0,
    discount: float = 0.98,
    gae_lambda: float = 0.95,
    clip: float = 0.2,
    seed: int = 0,
    progress: OnProgress = ignore_progress,
) -> TrainingSummary:
    """Trains a network to imitate a scripted procedure's action probabilities, and can then improve it by PPO.

    Args:
        family: the training family. The tasks are those of its bank if it has one, otherwise unlimited fresh tasks.
        out: the folder for network.safetensors. An unfinished training run in this folder is continued.
        teacher: the scripted subject to imitate, with its settings joined by +, such as
            thompson:discount=0.9+minimise=true.
        memory: the network's kind of memory, which is none, gru, lstm, transformer, linear_attention or lru.
        width: the number of units in a layer of the network.
        observes: the parts of the percept given to the network, joined by +.
        updates: the number of batches of imitation.
        improve_updates: the number of batches of PPO after imitation.
        lifetimes: the number of lifetimes in a batch.
        led_share: the share of lifetimes in which the teacher acts during imitation; in the others the network acts.
        minibatches: the number of parts into which a batch is split; Adam takes one step for each part.
        rate: Adam's step size at the start of imitation; it falls linearly.
        final_rate: Adam's step size at the end of imitation.
        improve_rate: Adam's step size at the start of PPO; it falls linearly.
        improve_final_rate: Adam's step size at the end of PPO.
        improve_epochs: the number of passes over a batch of PPO.
        entropy_weight: the weight of the policy's entropy at the start of PPO; it falls linearly to 0.
        discount: the discount of future reward, per step.
        gae_lambda: λ of the generalised advantage estimate.
        clip: how far the ratio of an action's new to its old probability can depart from 1 before PPO clips it.
        seed: the seed of the weights, the tasks and all random draws.
        progress: a function that is called with a `Progress` after every update.

    Raises:
        MesascopeError: a setting is out of range, the teacher gives no probabilities, or the folder contains another
            training run.
    """
    settings = collect_settings(
        locals(), improve_updates=(0, NO_LIMIT), led_share=(0.0, 1.0), improve_epochs=(1, NO_LIMIT)
    )
    check_settings(settings, improve_rate=SETTING_RANGES["rate"], improve_final_rate=SETTING_RANGES["rate"])
    subject, led_lifetimes = make_teacher(family, teacher), round(led_share * lifetimes)
    imitation = Partial(
        make_imitation_objective, scale=compute_scale(family), teacher=subject, led_lifetimes=led_lifetimes
    )
    imitation_update = make_update(family, settings, imitation)
    ppo_settings = {k.removeprefix("improve_"): v for k, v in settings.items() if k.startswith("improve_")}
    ppo_update = make_policy_update(family, {**settings, **ppo_settings}, compute_clipped_loss)

    def update(key: jax.Array, updates_done: jax.Array, network: Recurrent, adam_state: Any, /):
        if updates_done < updates:
            return imitation_update(key, updates_done, network, adam_state)
        if updates_done == updates:
            adam_state = make_adam_state(network)
        return ppo_update(key, jnp.asarray(int(updates_done) - updates), network, adam_state)

    return train_network("imitate", family, settings, update, out, progress=progress, extra_updates=improve_updates)


def make_teacher(family: Family, teacher: str) -> Subject:
    """Makes the teacher from its name with settings, which are joined by +.

    Raises:
        MesascopeError: there is no such subject, JAX cannot compile it, or it gives no probabilities.
    """
    name, _, text = teacher.partition(":")
    subject = catalogue.make("subjects", f"{name}:{text.replace('+', ',')}" if text else name, family)

    def respond_once() -> Any:
        key = jax.random.key(0)
        percept = family.begin(key, family.draw(key, 1))[1]
        return subject.respond(key, subject.initialize_carry(1), percept)[1].log_probs

    require(
        subject.is_traceable and eqx.filter_eval_shape(respond_once) is not None,
        f"{teacher!r} gives no probabilities that can be imitated.",
        "Name a scripted subject, such as gittins or thompson.",
    )
    return strip_identity(subject)


def make_imitation_objective(
    network: Recurrent, batch: Batch, /, *, scale: Scale, teacher: Subject, led_lifetimes: int
) -> Objective:
    """Runs a batch of lifetimes, and returns the objective of imitating the teacher along them.

    Args:
        network: the network that acts and learns.
        batch: the lifetimes to run.
        scale: the mean pay-off of random actions, and of the best actions, on the family's training tasks.
        teacher: the subject to imitate.
        led_lifetimes: the number of lifetimes in which the teacher acts; they come first.
    """
    lifetimes = run_lifetimes(batch.key, network, batch.family, batch.tasks, teacher, led_lifetimes=led_lifetimes)
    _, value_target = compute_targets(
        lifetimes, batch.best, scale, batch.update_settings.discount, batch.update_settings.gae_lambda
    )
    return lifetimes._replace(value=value_target), compute_imitation_loss, compute_mean_score(lifetimes, batch.best)


def compute_imitation_loss(network: Recurrent, batch: Lifetimes) -> jax.Array:
    """Computes the cross-entropy with the teacher's probabilities, plus half of the critic's squared error.

    Args:
        network: the network that learns.
        batch: the lifetimes, with the target of the critic as `value`.
    """
    features = network.memory.unroll(batch.inputs)
    cross_entropy = average(
        (jnp.exp(batch.teacher_log_probs) * network.compute_log_probs(features)).sum(-1), batch.mask
    )
    return -cross_entropy + 0.5 * average(jnp.square(network.estimate_return(features) - batch.value), batch.mask)
