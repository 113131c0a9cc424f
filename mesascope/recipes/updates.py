"""Trains our recurrent networks, one update after the other.

The key of every random draw depends only on the seed and the update's number, so the state after update i is a function
of the settings alone.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks import recurrent
from mesascope.agents.networks.network_files import name_weights
from mesascope.contracts import Family, FolderPath, OnProgress, TrainingSummary
from mesascope.formats import NETWORK_FORMAT
from mesascope.keys import derive_key
from mesascope.recipes.descent import Loss, UpdateSettings, make_adam_state, minimise
from mesascope.recipes.lifetimes import draw_tasks_and_best
from mesascope.recipes.training_loop import Checkpoint, TrainingRun, run_training

# takes the key of an update, the number of updates before it, the network and Adam's state; returns the network and
# Adam's state after the update, and the mean score of its batch
Update = Callable[[jax.Array, jax.Array, recurrent.Recurrent, Any], tuple[recurrent.Recurrent, Any, jax.Array]]
# the lifetimes to train on (axis 1 of all arrays), the loss to minimise on them, and their mean score
Objective = tuple[Any, Loss, jax.Array]


class Batch(NamedTuple):
    """A batch of N lifetimes to run.

    Attributes:
        key: the key of the random draws in the lifetimes.
        updates_done: the number of updates before this batch.
        family: the family of the tasks.
        tasks: the tasks of the lifetimes, with leading axis N.
        best: [T, N] the best pay-off of every trial, for T trials in a lifetime.
        update_settings: the settings of the update.
    """

    key: jax.Array
    updates_done: jax.Array
    family: Family
    tasks: Any
    best: jax.Array
    update_settings: UpdateSettings


MakeObjective = Callable[[recurrent.Recurrent, Batch], Objective]  # runs a batch of lifetimes with a network


def train_network(
    recipe: str,
    family: Family,
    settings: dict[str, Any],
    update: Update,
    out: FolderPath,
    progress: OnProgress,
    make_initial_state: Callable[[], tuple[recurrent.Recurrent, Any]] | None = None,
    extra_updates: int = 0,
) -> TrainingSummary:
    """Runs all remaining updates and writes the network.

    Args:
        recipe: the recipe's name.
        family: the training family.
        settings: the values of the recipe's settings by name, among which must be updates, lifetimes (of one update),
            memory, width, observes and seed.
        update: a function that runs one update (see `Update`).
        out: the folder for network.safetensors, and for checkpoint.safetensors until the network is written.
        progress: a function that is called with a `Progress` after every update.
        make_initial_state: a function that returns the network and Adam's state before the first update. By default,
            the network has fresh weights and follows the recipe's settings, and Adam's state is that of
            `make_adam_state`.
        extra_updates: the number of updates to run in addition to those in the settings.

    Raises:
        MesascopeError: the folder contains another training run, or it cannot be written.
    """
    key, total = jax.random.key(settings["seed"]), settings["updates"] + extra_updates
    steps_per_update = settings["lifetimes"] * family.horizon * family.steps

    def make_default_state() -> tuple[recurrent.Recurrent, Any]:
        shape = (settings[k] for k in ("memory", "width", "observes"))
        network = recurrent.create_network_for_family(derive_key(key, "weights"), family, *shape)
        return network, make_adam_state(network)

    def train_from(start: Checkpoint) -> Iterator[Checkpoint]:
        state, updates_done = start.state, start.updates_done
        while updates_done < total:
            *state, score = update(derive_key(key, "update", updates_done), jnp.asarray(updates_done), *state)
            updates_done += 1
            yield Checkpoint(tuple(state), updates_done, updates_done * steps_per_update, updates_done, [float(score)])

    def describe_network(state: tuple[recurrent.Recurrent, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        network = state[0]
        metadata = {
            "format": NETWORK_FORMAT,
            "memory": settings["memory"],
            "width": settings["width"],
            **network.memory.layer_settings,
            "observes": list(network.observes),
            "choices": network.choices,
            "observation": recurrent.get_observation_width(family),
            "horizon": network.horizon,
            "seed": settings["seed"],
        }
        return metadata, name_weights(network)

    run = TrainingRun(recipe, family, settings, total, describe_network)
    return run_training(run, make_initial_state or make_default_state, train_from, out, progress=progress)


def make_update(family: Family, settings: dict[str, Any], make_objective: MakeObjective) -> Update:
    """Makes an update that draws a batch of tasks, runs a lifetime on each, and trains the network on the lifetimes.

    Args:
        family: the family of the tasks.
        settings: the values of the recipe's settings by name, among which must be `lifetimes`.
        make_objective: a function that runs the lifetimes and makes the objective; arguments bound in a
            `jax.tree_util.Partial` are traced by JAX.
    """
    plan = UpdateSettings.from_settings(settings)

    def update(key: jax.Array, updates_done: jax.Array, network: recurrent.Recurrent, adam_state: Any, /):
        tasks, best = draw_tasks_and_best(family, derive_key(key, "tasks"), settings["lifetimes"])
        batch = Batch(derive_key(key, "lives"), updates_done, family, tasks, best, plan)
        return update_network(key, network, adam_state, batch, make_objective)

    return update


@eqx.filter_jit
def update_network(
    key: jax.Array, network: recurrent.Recurrent, adam_state: Any, batch: Batch, make_objective: MakeObjective
) -> tuple[recurrent.Recurrent, Any, jax.Array]:
    """Runs one batch and improves the network on it.

    Args:
        key: the key of the order of the lifetimes in the minibatches.
        network: the network before the update.
        adam_state: Adam's state before the update.
        batch: the lifetimes to run.
        make_objective: a function that runs the lifetimes and makes the objective.

    Returns:
        The network and Adam's state after the update, and the batch's mean score.
    """
    lifetimes, loss, score = make_objective(network, batch)
    network, adam_state = minimise(
        key,
        network,
        adam_state,
        lifetimes,
        loss=loss,
        update_settings=batch.update_settings,
        updates_done=batch.updates_done,
    )
    return network, adam_state, score
