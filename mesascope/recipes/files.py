"""The files of a training run: checkpoints, which are written atomically, and the metadata of a network's file."""

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as serialise

from mesascope.agents.networks.network_files import read_header
from mesascope.contracts import Family
from mesascope.errors import MesascopeError, require
from mesascope.files import replace_when_written
from mesascope.findings import describe_provenance

FORMAT = "mesascope-training/2"
PROGRESS_FIELDS = {"done": "updates_done", "steps": "steps", "round": "round"}  # name in a checkpoint's file → field


class TrainingRun(NamedTuple):
    """What defines a training run.

    Attributes:
        recipe: the recipe's name.
        family: the training family.
        settings: all settings, including the seed.
        updates: the total number of updates.
        describe_network: a function that takes a state and returns two parts of the network's file: the metadata that
            `describe_identity` and `describe_origin` do not give, and the weights by name.
    """

    recipe: str
    family: Family
    settings: dict[str, Any]
    updates: int
    describe_network: Callable[[Any], tuple[dict[str, Any], dict[str, Any]]]

    def derive_seed(self, *parts: str | int) -> int:
        """Derives a seed from the run's seed and the `parts` that name its use."""
        return zlib.crc32(repr((self.settings["seed"], *parts)).encode()) >> 1


class Checkpoint(NamedTuple):
    """The progress and the state of a training run.

    Attributes:
        state: everything that passes from one update to the next, such as the networks and Adam's state.
        updates_done: the number of updates so far.
        steps: the number of environment steps so far, summed over all lifetimes or environments.
        round: the number of steps so far in one environment, or the number of updates if the recipe runs whole
            lifetimes.
        scores: the scores of the last games, or of the last batch.
    """

    state: Any
    updates_done: int
    steps: int
    round: int
    scores: Any


def describe_identity(run: TrainingRun) -> dict[str, Any]:
    """Lists the metadata that identify a training run: the recipe, the family and the settings."""
    return {"recipe": run.recipe, "family": run.family.name, "settings": run.settings}


def describe_origin(run: TrainingRun) -> dict[str, Any]:
    """Lists the metadata that are needed to reproduce a network: the command, the versions and the commit."""
    settings = ",".join(f"{k}={v}" for k, v in run.settings.items())
    origin = describe_provenance(run.settings["seed"])
    return {
        "command": f"mesascope train {run.recipe}:{settings} --family {run.family.name} --out DIR",
        "versions": origin["versions"] | {"equinox": eqx.__version__},
        "commit": origin["commit"],
    }


def make_folder(out: str | os.PathLike) -> Path:
    """Creates the folder of a training run if it does not exist.

    Raises:
        MesascopeError: the folder cannot be created.
    """
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MesascopeError(f"{str(out)!r} cannot be a folder: {error.strerror}.", "Name another --out.") from None
    return Path(out)


def write_tensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Writes a file atomically, so that it is never incomplete, even after SIGKILL."""
    text = json.dumps(metadata, sort_keys=True)  # all metadata are under one key, so their order in the header is fixed
    with replace_when_written(path) as part, part.open("wb") as file:
        file.write(serialise(tensors, {"mesascope": text}))
        file.flush()
        os.fsync(file.fileno())


def save_checkpoint(run: TrainingRun, path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint, which contains the arrays of the state and the progress."""
    leaves = jax.tree.leaves(eqx.filter(checkpoint.state, _is_array))
    tensors = {f"{i:04d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    progress = {k: getattr(checkpoint, field) for k, field in PROGRESS_FIELDS.items()}
    write_tensors(path, tensors, {"format": FORMAT, **progress, **describe_identity(run)})


def load_checkpoint(run: TrainingRun, path: Path, initial_state: Any) -> Checkpoint:
    """Loads the saved checkpoint into the structure of the initial state.

    If no checkpoint was saved, returns a checkpoint with the initial state.

    Raises:
        MesascopeError: the checkpoint belongs to another training run, or is broken.
    """
    if not path.exists():
        return Checkpoint(initial_state, 0, 0, 0, ())
    metadata = check_identity(run, path)
    arrays, static = eqx.partition(initial_state, _is_array)
    leaves, structure = jax.tree.flatten(arrays)
    try:
        tensors = load_tensors(path.read_bytes())
        saved_leaves = [tensors[f"{i:04d}"] for i in range(len(leaves))]
        has_same_shapes = [(x.shape, x.dtype) for x in saved_leaves] == [(x.shape, x.dtype) for x in leaves]
        if metadata["format"] != FORMAT or not has_same_shapes:
            raise ValueError("its arrays have other shapes")
        progress = {field: int(metadata[k]) for k, field in PROGRESS_FIELDS.items()}
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise MesascopeError(f"The checkpoint {str(path)!r} is broken: {error}.", "Delete it to start again.") from None
    state = eqx.combine(jax.tree.unflatten(structure, [jnp.asarray(x) for x in saved_leaves]), static)
    return Checkpoint(state=state, scores=(), **progress)


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray)


def check_identity(run: TrainingRun, path: Path) -> dict[str, Any]:
    """Returns the metadata of a file, after a check that the file belongs to this training run.

    Raises:
        MesascopeError: the file belongs to another training run, or cannot be read.
    """
    try:
        metadata, *_ = read_header(path)
    except MesascopeError as error:
        raise MesascopeError(error.problem, "Delete it to start again.") from None
    for name, value in describe_identity(run).items():
        require(
            metadata.get(name) == json.loads(json.dumps(value)),
            f"{str(path)!r} belongs to another training run: its {name} is {metadata.get(name)!r}, not {value!r}.",
            "Name another --out, or delete the file.",
        )
    return metadata
