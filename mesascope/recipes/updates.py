"""Trains our recurrent networks, one update after the other.

The key of every random draw depends only on the seed and the update's number, so the state after update i is a function
of the settings alone.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks import recurrent
from mesascope.agents.networks.network_files import name_weights
from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained
from mesascope.formats import NETWORK
from mesascope.keys import address
from mesascope.recipes.descent import Loss, Plan, descend, make_moments
from mesascope.recipes.files import Run
from mesascope.recipes.lives import TaskBatch, draw_tasks
from mesascope.recipes.rounds import Checkpoint, run_rounds


class Update(Protocol):
    """One update of a network."""

    def __call__(
        self, key: jax.Array, number: jax.Array, network: recurrent.Recurrent, memory: Any, /
    ) -> tuple[recurrent.Recurrent, Any, jax.Array]:
        """Returns the network and the optimiser's memory after the update, and the batch's mean score.

        Args:
            key: the key of this update.
            number: the number of updates before this one.
            network: the network before this update.
            memory: the optimiser's memory.
        """
        ...


def train(
    recipe: str,
    family: Family,
    settings: dict[str, Any],
    update: Update,
    out: str | os.PathLike,
    *,
    progress: Callable[[Progress], None],
    begin: Callable[[], tuple[recurrent.Recurrent, Any]] | None = None,
    more: int = 0,
) -> Trained:
    """Runs all remaining updates and writes the network.

    Args:
        recipe: the recipe's name.
        family: the training family.
        settings: the recipe's settings; they include updates, lifetimes (of one update), memory, width, observes and
            seed.
        update: runs one update.
        out: the folder for network.safetensors, and for checkpoint.safetensors until the network is written.
        progress: called after every update.
        begin: returns the network and the optimiser's memory before the first update; by default a network with fresh
            weights that follows the recipe's settings, and the initial memory of `descend`.
        more: the number of updates to run in addition to those in the settings.

    Raises:
        MesascopeError: the folder contains another training run, or it cannot be written.
    """
    key, total = jax.random.key(settings["seed"]), settings["updates"] + more
    steps_per_update = settings["lifetimes"] * family.horizon * family.steps

    def begin_fresh() -> tuple[recurrent.Recurrent, Any]:
        shape = (settings[k] for k in ("memory", "width", "observes"))
        network = recurrent.initialise(address(key, "weights"), family, *shape)
        return network, make_moments(network)

    def play(start: Checkpoint) -> Iterator[Checkpoint]:
        state, done = start.state, start.done
        while done < total:
            *state, score = update(address(key, "update", done), jnp.asarray(done), *state)
            done += 1
            yield Checkpoint(tuple(state), done, done * steps_per_update, done, [float(score)])

    def contents(state: tuple[recurrent.Recurrent, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        network = state[0]
        metadata = {
            "format": NETWORK,
            "memory": settings["memory"],
            "width": settings["width"],
            **network.memory.layout,
            "observes": list(network.observes),
            "choices": network.choices,
            "observation": recurrent.find_width(family),
            "horizon": network.horizon,
            "seed": settings["seed"],
        }
        return metadata, name_weights(network)

    return run_rounds(
        Run(recipe, family, settings, total, contents), begin or begin_fresh, play, out, progress=progress
    )


class Batch(NamedTuple):
    """A batch of lifetimes to run.

    Attributes:
        key: the key of the random draws in the lifetimes.
        number: the number of updates before this batch.
        family: the family of the tasks.
        task_batch: the tasks.
        plan: the settings of the update.
    """

    key: jax.Array
    number: jax.Array
    family: Family
    task_batch: TaskBatch
    plan: Plan


class Objective(NamedTuple):
    """The lifetimes to train on (axis 1 of all arrays), the loss to minimise on them, and their mean score."""

    examples: Any
    loss: Loss
    score: jax.Array


class Lesson(Protocol):
    """Runs a batch of lifetimes and makes a training objective from it."""

    def __call__(self, network: recurrent.Recurrent, batch: Batch, /) -> Objective:
        """Returns the objective of a network on a batch."""
        ...


def improve_on_lifetimes(family: Family, settings: dict[str, Any], lesson: Lesson) -> Update:
    """Makes an update that draws a batch of tasks, runs a lifetime on each, and trains the network on the lifetimes.

    Args:
        family: the family of the tasks.
        settings: the recipe's settings; they include `lifetimes`.
        lesson: runs the lifetimes and makes the objective; arguments bound in a `jax.tree_util.Partial` are data.
    """
    plan = Plan.of(settings)

    def improve(key: jax.Array, number: jax.Array, network: recurrent.Recurrent, memory: Any, /):
        task_batch = draw_tasks(family, address(key, "tasks"), settings["lifetimes"])
        return update(key, network, memory, Batch(address(key, "lives"), number, family, task_batch, plan), lesson)

    return improve


@eqx.filter_jit
def update(
    key: jax.Array, network: recurrent.Recurrent, memory: Any, batch: Batch, lesson: Lesson
) -> tuple[recurrent.Recurrent, Any, jax.Array]:
    """Runs one batch and improves the network on it.

    Args:
        key: the key of the order of the lifetimes in the minibatches.
        network: the network before the update.
        memory: Adam's memory.
        batch: the lifetimes to run.
        lesson: runs the lifetimes and makes the objective.

    Returns:
        The network and Adam's memory after the update, and the batch's mean score.
    """
    examples, loss, score = lesson(network, batch)
    network, memory = descend(key, network, memory, examples, loss=loss, plan=batch.plan, number=batch.number)
    return network, memory, score
