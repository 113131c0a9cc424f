"""Our own network files: the header and every tensor checked before it is read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from mesascope.errors import MesascopeError
from mesascope.subjects.recurrent import read_header


def named(weights: Mapping[str, Any] | Any) -> dict[str, Any]:
    """Every weight by its path, e.g. 'kernels.0'."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(weights)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


@dataclasses.dataclass(frozen=True)
class OurFiles:
    """The network files of one format: which are such, which ship, and what they say of themselves.

    Attributes:
        format: as their header names it.
        called: what an error calls such a network.
        recipe: what writes them.
        wholes: the whole numbers that a header must hold, each with its least and its most.
        odd: says what else is wrong with what a header says, '' where nothing is.
    """

    format: str
    called: str
    recipe: str
    wholes: Mapping[str, tuple[int, int]]
    odd: Callable[[Mapping[str, Any]], str] = lambda told: ""

    def opens(self, path: str | os.PathLike) -> bool:
        """Whether a file is such a network, by its header alone."""
        try:
            return read_header(path)[0].get("format") == self.format
        except MesascopeError:
            return False

    def bundled(self) -> dict[str, Path]:
        """The networks that ship, by name."""
        networks = Path(__file__).parent / "networks"
        return {p.stem: p for p in sorted(networks.glob("*.safetensors")) if self.opens(p)}

    def find(self, path: str | os.PathLike) -> Path:
        """The file of this path, or of a network that ships under this name; else the path, which is no file."""
        return (
            Path(path) if Path(path).is_file() else self.bundled().get(os.fspath(path), Path(path or "none"))
        )

    def family_of(self, path: str | os.PathLike) -> str:
        """The family that a network was trained on, with its settings."""
        return self.about(self.find(path))["family"]

    def about(self, path: str | os.PathLike) -> dict[str, Any]:
        """What a network's file says of it, checked.

        Raises:
            MesascopeError: not such a file, or what it says is missing or of another kind.
        """
        told = read_header(path)[0]
        if told.get("format") != self.format:
            raise self.broken(path, f"its format is {told.get('format')!r}, not {self.format!r}")
        for key in ("family", "trained_on"):
            if not isinstance(told.get(key), str):
                raise self.broken(path, f"its metadata has no text {key!r}")
        for key, (least, most) in self.wholes.items():
            if type(told.get(key)) is not int or not least <= told[key] <= most:
                raise self.broken(path, f"its metadata has no whole number {key!r} in range")
        if reason := self.odd(told):
            raise self.broken(path, reason)
        return told

    def weights(self, path: Path, empty: Any) -> Any:
        """Weights in the shape of `empty`, a pytree of arrays or of their shapes; the file holds them by their paths.

        Raises:
            MesascopeError: the file holds other tensors, is cut short, or holds no finite numbers.
        """
        expected = {k: ("F32", tuple(v.shape)) for k, v in named(empty).items()}
        _, shapes, size = read_header(path)
        for weight in sorted(expected.keys() | shapes.keys()):
            if (here := shapes.get(weight)) != (right := expected.get(weight)):
                raise self.broken(path, f"its tensor {weight!r} is {here}, not {right}")
        if (found := os.path.getsize(path)) != size:
            raise self.broken(path, f"it has {found:,} bytes, its header announces {size:,}")
        try:
            tensors = load(path.read_bytes())
        except (SafetensorError, OSError, ValueError) as error:
            raise self.broken(path, str(error)) from None
        if odd := sorted(k for k, v in tensors.items() if not np.isfinite(v).all()):
            raise self.broken(path, f"its weights {', '.join(odd)} are not all finite")
        return jax.tree.unflatten(jax.tree.structure(empty), [jnp.asarray(tensors[k]) for k in expected])

    def broken(self, path: str | os.PathLike, reason: str) -> MesascopeError:
        """What is said of a file that is no such network."""
        return MesascopeError(
            f"{str(path)!r} is no {self.called}: {reason}.",
            f"Name a file that `mesascope train {self.recipe}` wrote, or one that ships: "
            f"{', '.join(self.bundled()) or 'none'}.",
        )
