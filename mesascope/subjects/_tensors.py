"""Reading the weights of a .safetensors file, every tensor checked before it is read."""

from __future__ import annotations

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


def filled(path: Path, empty: Any, broken: Callable[[str], MesascopeError]) -> Any:
    """Weights in the shape of `empty`, a pytree of arrays or of their shapes; the file holds them by their paths.

    Raises:
        MesascopeError: `broken(why)`, where the file holds other tensors, is cut short, or holds no finite numbers.
    """
    expected = {k: ("F32", tuple(v.shape)) for k, v in named(empty).items()}
    _, shapes, size = read_header(path)
    for weight in sorted(expected.keys() | shapes.keys()):
        if expected.get(weight) != shapes.get(weight):
            raise broken(f"its tensor {weight!r} is {shapes.get(weight)}, not {expected.get(weight)}")
    if (found := os.path.getsize(path)) != size:
        raise broken(f"it has {found:,} bytes, its header announces {size:,}")
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, OSError, ValueError) as error:
        raise broken(str(error)) from None
    if odd := sorted(k for k, v in tensors.items() if not np.isfinite(v).all()):
        raise broken(f"its weights {', '.join(odd)} are not all finite")
    return jax.tree.unflatten(jax.tree.structure(empty), [jnp.asarray(tensors[k]) for k in expected])


def named(weights: Mapping[str, Any] | Any) -> dict[str, Any]:
    """Every weight by its path, e.g. 'kernels.0'."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(weights)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def shipped(opens: Callable[[Path], bool]) -> dict[str, Path]:
    """The networks that ship and that an adapter opens, by name."""
    return {p.stem: p for p in sorted((Path(__file__).parent / "networks").glob("*.safetensors")) if opens(p)}
