"""Finds VecNormalize files and reads their running statistics as data."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from mesascope.agents import inert as _inert
from mesascope.agents.foreign import FileKind
from mesascope.errors import MesascopeError
from mesascope.guards import limits

NONE = "none"
FILE = FileKind(
    "VecNormalize file",
    f"Name a VecNormalize file, or normalize={NONE}.",
    f"Save it again with VecNormalize.save(), or add normalize={NONE} to leave it out; nothing in it was run.",
)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """The mean and variance of observations, in their shape, and the settings clip and epsilon of VecNormalize."""

    mean: np.ndarray
    var: np.ndarray
    clip: float
    epsilon: float

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Normalises observations [N, ...] as in training."""
        normalised = (observations - self.mean) / np.sqrt(self.var + self.epsilon)
        return np.clip(normalised, -self.clip, self.clip).astype(np.float32)


def find_statistics(path: str | os.PathLike) -> list[str]:
    """The VecNormalize files beside a zip, or in the folder with the zip's name, where rl_zoo3 puts them."""
    zipped = Path(path)
    places = (zipped.parent, zipped.with_suffix("")) if zipped.suffix else (zipped.parent,)
    found = [f for p in places if p.is_dir() for f in sorted(p.glob("*.pkl")) if f.is_file()]
    return [str(f) for f in found if "vecnormalize" in re.sub("[-_]", "", f.name.lower())]


def read(path: str, shape: tuple[int, ...]) -> Statistics | None:
    """The statistics in a file; None if it normalises rewards only.

    Raises:
        MesascopeError: the file does not exist, is broken, or describes observations of another shape.
    """
    with FILE.reading(path):
        content: Any = _inert.read(limits.read(path, _inert.LARGEST), repr(path))
        if content.origin[1] != "VecNormalize":
            raise ValueError(f"it contains {'.'.join(content.origin)}")
        if _inert.to_array(content.state.get("norm_obs", True)) is False:
            return None
        moments = content.state["obs_rms"].state
        mean, var = (np.asarray(_inert.to_array(moments[k]), np.float64) for k in ("mean", "var"))
        clip, epsilon = (float(_inert.to_array(content.state[k])) for k in ("clip_obs", "epsilon"))
    if mean.shape != shape or var.shape != shape:
        raise MesascopeError(
            f"{path!r} is for observations of shape {mean.shape}; the agent's have shape {shape}.",
            f"Name its own file with normalize=FILE, or add normalize={NONE}.",
        )
    if not (np.isfinite(mean).all() and (var >= 0).all() and np.isfinite(var).all() and clip > 0):
        raise MesascopeError(f"The statistics in {path!r} are not finite.", "Save them again.")
    return Statistics(mean, var, clip, epsilon)
