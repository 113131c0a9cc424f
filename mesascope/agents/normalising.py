"""Finds VecNormalize files and reads their running statistics as data."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from mesascope.agents import pickles as _pickles
from mesascope.agents.foreign import FileKind
from mesascope.errors import MesascopeError
from mesascope.guards import limits

NO_FILE = "none"
VECNORMALIZE = FileKind(
    "VecNormalize file",
    f"Name a VecNormalize file, or normalize={NO_FILE}.",
    f"Save it again with VecNormalize.save(), or leave it out with normalize={NO_FILE}; no code in it was run.",
)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """The mean and variance of observations, in the observations' shape, and VecNormalize's clip and epsilon."""

    mean: np.ndarray
    variance: np.ndarray
    clip: float
    epsilon: float

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Normalises observations [N, ...] as VecNormalize did in training."""
        normalised = (observations - self.mean) / np.sqrt(self.variance + self.epsilon)
        return np.clip(normalised, -self.clip, self.clip).astype(np.float32)


def find_statistics_files(path: str | os.PathLike) -> list[str]:
    """Finds the VecNormalize files in a zip's folder, and in the folder named after the zip that rl_zoo3 makes."""
    zip_path = Path(path)
    folders = (zip_path.parent, zip_path.with_suffix("")) if zip_path.suffix else (zip_path.parent,)
    files = [f for folder in folders if folder.is_dir() for f in sorted(folder.glob("*.pkl")) if f.is_file()]
    return [str(f) for f in files if "vecnormalize" in re.sub("[-_]", "", f.name.lower())]


def read_statistics(path: str, shape: tuple[int, ...]) -> Statistics | None:
    """Reads the statistics in a VecNormalize file; returns None if the file normalises rewards only.

    Raises:
        MesascopeError: the file does not exist, is broken, or describes observations of another shape.
    """
    with VECNORMALIZE.explain_errors(path):
        content: Any = _pickles.read_pickle(limits.read_file(path, _pickles.MAX_BYTES), repr(path))
        if content.origin[1] != "VecNormalize":
            raise ValueError(f"it contains {'.'.join(content.origin)}")
        if _pickles.rebuild_value(content.state.get("norm_obs", True)) is False:
            return None
        moments = content.state["obs_rms"].state
        mean, var = (np.asarray(_pickles.rebuild_value(moments[k]), np.float64) for k in ("mean", "var"))
        clip, epsilon = (float(_pickles.rebuild_value(content.state[k])) for k in ("clip_obs", "epsilon"))
    if mean.shape != shape or var.shape != shape:
        problem = f"{path!r} is for observations of shape {mean.shape}, but the agent's have shape {shape}."
        raise MesascopeError(problem, f"Name the agent's own file with normalize=FILE, or add normalize={NO_FILE}.")
    if not (np.isfinite(mean).all() and (var >= 0).all() and np.isfinite(var).all() and clip > 0):
        raise MesascopeError(f"The statistics in {path!r} are not valid: not finite, or negative.", "Save them again.")
    return Statistics(mean, var, clip, epsilon)
