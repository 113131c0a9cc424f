"""What recipes share: updates one after the other, with checkpoints, progress and the network's file.

The state after update i is a function of the settings alone: every draw is addressed by the update's number.
So a training that is interrupted at any moment and goes on from its last checkpoint ends with the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mesascope.agents.networks import recurrent
from mesascope.agents.networks.network_files import named
from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained
from mesascope.formats import NETWORK
from mesascope.recipes.files import agree, finite, identity, keep, origin, prepare, replace, restore

FORMAT = "mesascope-training/1"
EVERY = 10.0  # seconds from one checkpoint to the next


class Training(NamedTuple):
    """What is trained.

    Attributes:
        recipe: the recipe's name.
        family: what it is trained on.
        settings: of the recipe, the seed among them.
        updates: in all.
        lifetimes: of one update.
    """

    recipe: str
    family: Family
    settings: dict[str, Any]
    updates: int
    lifetimes: int


class State(NamedTuple):
    """All that goes from one update to the next: how many are done, the network, the optimiser's memory."""

    done: int
    network: recurrent.Recurrent
    memory: Any


def train(
    training: Training,
    begin: Callable[[], tuple[recurrent.Recurrent, Any]],
    update: Callable[[int, recurrent.Recurrent, Any], tuple[recurrent.Recurrent, Any, jax.Array]],
    out: str | os.PathLike,
    progress: Callable[[Progress], None],
) -> Trained:
    """Runs all updates that are not done yet and writes the network.

    Args:
        training: what is trained.
        begin: gives the network and the optimiser's memory before the first update.
        update: update(done, network, memory) gives both after the next one, and the batch's mean score.
        out: the folder of network.safetensors and, until that is there, of checkpoint.safetensors.
        progress: called after every update.

    Raises:
        MesascopeError: the folder holds another training, or it cannot be written.
    """
    start, steps = time.monotonic(), 0
    folder = prepare(out)
    path, checkpoint = folder / "network.safetensors", folder / "checkpoint.safetensors"

    def finished() -> Trained:
        checkpoint.unlink(missing_ok=True)
        trained_on = training.family.bank or "unlimited"
        seconds = time.monotonic() - start
        return Trained(path, training.family.name, trained_on, training.updates, steps, seconds)

    if path.exists():
        agree(training, path)
        return finished()
    state = _resume(training, checkpoint, begin()) if checkpoint.exists() else State(0, *begin())
    first, began, saved = state.done, start, time.monotonic()
    try:
        while state.done < training.updates:
            network, memory, score = update(*state)
            mean = float(score)  # waits for the update
            state = State(state.done + 1, network, memory)  # at once: an interruption falls before or after
            steps += training.lifetimes * training.family.horizon * training.family.steps
            now, here = time.monotonic(), state.done - first
            began = now if here == 1 else began  # the first update compiles
            left = (now - began) / (here - 1) * (training.updates - state.done) if here > 1 else None
            if now - saved > EVERY and state.done < training.updates:
                _keep(training, checkpoint, state)
                saved = time.monotonic()
            progress(Progress(state.done, training.updates, left, mean))
    except KeyboardInterrupt:
        _keep(training, checkpoint, state)
        raise
    _finish(training, path, state.network)
    return finished()


def _finish(training: Training, path: Path, network: recurrent.Recurrent) -> None:
    """Writes the network with everything that is needed to repeat it; no times, so that bytes repeat too."""
    family = training.family
    told = {
        **identity(training),
        "memory": training.settings["memory"],
        "width": training.settings["width"],
        **network.memory.layout,
        "observes": list(network.observes),
        "choices": network.choices,
        "observation": recurrent.observation_width(family),
        "horizon": network.horizon,
        "trained_on": family.bank or "unlimited",
        "seed": training.settings["seed"],
        **origin(training),
    }
    finite(named(network))
    save(network, path, told)


def save(network: recurrent.Recurrent, path: Path, told: dict[str, Any]) -> None:
    """Writes a network; the file appears whole or not at all.

    Args:
        network: its weights are written.
        path: the .safetensors file.
        told: everything that the format asks for but the tensors.
    """
    tensors = {k: np.asarray(v) for k, v in named(network).items()}
    replace(path, tensors, {"format": NETWORK, **told})


def _keep(training: Training, path: Path, state: State) -> None:
    """Writes a checkpoint."""
    keep(training, path, state, {"format": FORMAT, "done": state.done})


def _resume(training: Training, path: Path, begun: tuple[recurrent.Recurrent, Any]) -> State:
    """What a checkpoint holds."""
    state, (done,) = restore(training, path, State(0, *begun), FORMAT, "done")
    return state._replace(done=done)
