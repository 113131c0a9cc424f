"""The files of a training: checkpoints that are whole at every moment, and what a network's file says of its making."""

import json
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load
from safetensors.numpy import save as serialise

from mesascope.agents.networks.network_files import read_header
from mesascope.contracts.family import Family
from mesascope.errors import MesascopeError
from mesascope.files import replacing
from mesascope.findings import provenance

CHECKPOINT = "mesascope-training/2"


class Contents(Protocol):
    """What a training's network file holds."""

    def __call__(self, state: Any, /) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the file says besides `identity` and `origin`, and the weights of a state's network by name."""
        ...


class Run(NamedTuple):
    """What is trained.

    Attributes:
        recipe: its name.
        family: what it is trained on.
        settings: all, the seed among them.
        updates: in all.
        contents: contents(state) of the network's file.
    """

    recipe: str
    family: Family
    settings: dict[str, Any]
    updates: int
    contents: Contents

    def seeded(self, *parts: str | int) -> int:
        """A seed by the run's own and an address."""
        return zlib.crc32(repr((self.settings["seed"], *parts)).encode()) >> 1


class Checkpoint(NamedTuple):
    """Where a training is.

    Attributes:
        state: all that goes from one round to the next: the network, its targets', Adam's memory.
        done: updates.
        steps: of all environments.
        round: steps of one environment.
        scores: of the last games, or of the last batch.
    """

    state: Any
    done: int
    steps: int
    round: int
    scores: Any


def identity(run: Run) -> dict[str, Any]:
    """What a file must agree on to be of this training."""
    return {"recipe": run.recipe, "family": run.family.name, "settings": run.settings}


def origin(run: Run) -> dict[str, Any]:
    """What makes the same network: the command, the versions, the commit."""
    settings = ",".join(f"{k}={v}" for k, v in run.settings.items())
    source = provenance(run.settings["seed"])
    return {
        "command": f"mesascope train {run.recipe}:{settings} --family {run.family.name} --out DIR",
        "versions": source["versions"] | {"equinox": eqx.__version__},
        "commit": source["commit"],
    }


def prepare(out: str | os.PathLike) -> Path:
    """The folder of a training.

    Raises:
        MesascopeError: it cannot be one.
    """
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MesascopeError(
            f"{str(out)!r} cannot be a folder: {error.strerror}.", "Name another --out."
        ) from None
    return Path(out)


def replace(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Writes a file that is whole at every moment, even under SIGKILL."""
    text = json.dumps(metadata, sort_keys=True)  # under one key: the order in the header is then certain
    with replacing(path) as part, part.open("wb") as file:
        file.write(serialise(tensors, {"mesascope": text}))
        file.flush()
        os.fsync(file.fileno())


def save_checkpoint(run: Run, path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; a replay is no part of it."""
    leaves = jax.tree.leaves(eqx.filter(checkpoint.state, _is_array))
    tensors = {f"{i:04d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    at = {"done": checkpoint.done, "steps": checkpoint.steps, "round": checkpoint.round}
    replace(path, tensors, {"format": CHECKPOINT, **at, **identity(run)})


def load_checkpoint(run: Run, path: Path, initial: Any) -> Checkpoint:
    """What a checkpoint holds, in the shape of the state that training begins with; that where there is none.

    Raises:
        MesascopeError: it is of another training, or broken.
    """
    if not path.exists():
        return Checkpoint(initial, 0, 0, 0, ())
    metadata = check_identity(run, path)
    arrays, rest = eqx.partition(initial, _is_array)
    leaves, structure = jax.tree.flatten(arrays)
    try:
        tensors = load(path.read_bytes())
        saved = [tensors[f"{i:04d}"] for i in range(len(leaves))]
        matches = [(f.shape, f.dtype) for f in saved] == [(x.shape, x.dtype) for x in leaves]
        if metadata["format"] != CHECKPOINT or not matches:
            raise ValueError("its arrays have other shapes")
        done, steps, turns = (int(metadata[name]) for name in ("done", "steps", "round"))
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise MesascopeError(
            f"The checkpoint {str(path)!r} is broken: {error}.", "Delete it to begin anew."
        ) from None
    state = eqx.combine(jax.tree.unflatten(structure, [jnp.asarray(f) for f in saved]), rest)
    return Checkpoint(state, done, steps, turns, ())


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray)


def check_identity(run: Run, path: Path) -> dict[str, Any]:
    """What a file says of its training.

    Raises:
        MesascopeError: it is of another one.
    """
    try:
        metadata, *_ = read_header(path)
    except MesascopeError as error:
        raise MesascopeError(error.problem, "Delete it to begin anew.") from None
    for name, value in identity(run).items():
        if metadata.get(name) != json.loads(json.dumps(value)):
            raise MesascopeError(
                f"{str(path)!r} is of another training: its {name} is {metadata.get(name)!r}, not {value!r}.",
                "Name another --out, or delete the file.",
            )
    return metadata


def check_finite(tensors: dict[str, Any]) -> dict[str, np.ndarray]:
    """The same weights.

    Raises:
        MesascopeError: some are not finite.
    """
    arrays = {k: np.asarray(v) for k, v in tensors.items()}
    if not all(np.isfinite(x).all() for x in arrays.values()):
        raise MesascopeError(
            "The training diverged: weights are not finite.", "Lower the rate, or change the seed."
        )
    return arrays
