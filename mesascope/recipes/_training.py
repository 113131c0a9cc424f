"""What recipes share: updates one after the other, with checkpoints, progress and the network's file.

The state after update i is a function of the settings alone: every draw is addressed by the update's number.
So a training that is interrupted at any moment and goes on from its last checkpoint ends with the same bytes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load
from safetensors.numpy import save as serialise

from mesascope.errors import MesascopeError
from mesascope.families import Family
from mesascope.measurement import made
from mesascope.recipes import Progress, Trained
from mesascope.subjects import recurrent

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

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree on to be gone on from."""
        return {"recipe": self.recipe, "family": self.family.name, "settings": self.settings}

    @property
    def command(self) -> str:
        """What makes the same network."""
        given = ",".join(f"{k}={v}" for k, v in self.settings.items())
        return f"mesascope train {self.recipe}:{given} --family {self.family.name} --out DIR"


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
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MesascopeError(
            f"{str(out)!r} cannot be a folder: {error.strerror}.", "Name another --out."
        ) from None
    path, checkpoint = folder / "network.safetensors", folder / "checkpoint.safetensors"

    def finished() -> Trained:
        checkpoint.unlink(missing_ok=True)
        trained_on = training.family.bank or "unlimited"
        seconds = time.monotonic() - start
        return Trained(path, training.family.name, trained_on, training.updates, steps, seconds)

    if path.exists():
        _agree(training, path)
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
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in recurrent.weights(network).values()):
        raise MesascopeError(
            "The training diverged: weights are not finite.", "Lower the rate, or change the seed."
        )
    family, origin = training.family, made(training.settings["seed"])
    save(
        network,
        path,
        {
            **training.identity,
            "memory": training.settings["memory"],
            "width": training.settings["width"],
            **network.memory.layout,
            "told": list(network.told),
            "choices": network.choices,
            "observation": recurrent.observation_width(family),
            "horizon": network.horizon,
            "trained_on": family.bank or "unlimited",
            "seed": training.settings["seed"],
            "command": training.command,
            "versions": origin["versions"] | {"equinox": eqx.__version__},
            "commit": origin["commit"],
        },
    )


def save(network: recurrent.Recurrent, path: Path, told: dict[str, Any]) -> None:
    """Writes a network; the file appears whole or not at all.

    Args:
        network: its weights are written.
        path: the .safetensors file.
        told: everything that the format asks for but the tensors.
    """
    tensors = {k: np.asarray(v) for k, v in recurrent.weights(network).items()}
    _replace(path, tensors, {"format": recurrent.FORMAT, **told})


def _replace(path: Path, tensors: dict[str, np.ndarray], told: dict[str, Any]) -> None:
    """Writes a file that is whole at every moment, even under SIGKILL."""
    text = json.dumps(told, sort_keys=True)  # under one key: the order in the header is then certain
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(serialise(tensors, {"mesascope": text}))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _keep(training: Training, path: Path, state: State) -> None:
    """Writes a checkpoint, whole or not at all."""
    leaves = jax.tree.leaves(eqx.filter(state, eqx.is_array))
    tensors = {f"{i:04d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    _replace(path, tensors, {"format": FORMAT, "done": state.done, **training.identity})


def _resume(training: Training, path: Path, begun: tuple[recurrent.Recurrent, Any]) -> State:
    """What a checkpoint holds, in the shape of what training begins with."""
    told = _agree(training, path)
    arrays, rest = eqx.partition(State(0, *begun), eqx.is_array)
    leaves, structure = jax.tree.flatten(arrays)
    try:
        tensors = load(path.read_bytes())
        found = [tensors[f"{i:04d}"] for i in range(len(leaves))]
        alike = [(f.shape, f.dtype) for f in found] == [(x.shape, x.dtype) for x in leaves]
        if told["format"] != FORMAT or not alike:
            raise ValueError("its arrays have other shapes")
        done = int(told["done"])
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise MesascopeError(
            f"The checkpoint {str(path)!r} is broken: {error}.", "Delete it to begin anew."
        ) from None
    state = eqx.combine(jax.tree.unflatten(structure, [jnp.asarray(f) for f in found]), rest)
    return state._replace(done=done)


def _agree(training: Training, path: Path) -> dict[str, Any]:
    """What a file says of its training; raises where that is another one."""
    try:
        told, *_ = recurrent.read_header(path)
    except MesascopeError as error:
        raise MesascopeError(error.problem, "Delete it to begin anew.") from None
    for name, value in training.identity.items():
        if told.get(name) != json.loads(json.dumps(value)):
            raise MesascopeError(
                f"{str(path)!r} is of another training: its {name} is {told.get(name)!r}, not {value!r}.",
                "Name another --out, or delete the file.",
            )
    return told
