"""Reads the files of mesascope's own networks, and checks the header and every tensor before using them."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from mesascope import formats
from mesascope.errors import MesascopeError

MAX_HEADER_BYTES = 1 << 20  # the maximum number of bytes in a header
SHIPPED_FOLDER = Path(__file__).parent / "shipped"


NAMES_IN_FILES = {  # field of a network → the field's name in files, if the two names differ
    **{"input_weights": "inputs", "recurrent_weights": "recurrent", "candidate_bias": "inner"},
    **{
        "embedding": "entry",
        "embedding_bias": "entry_bias",
        "attention_weights": "mixing",
        "output_weights": "joining",
    },
    **{
        "distance_bias": "distance",
        "up_weights": "up",
        "down_weights": "down",
        "log_rate": "rate",
        "log_angle": "turn",
    },
    **{"inward_weights": "inward", "outward_weights": "outward", "skip_weights": "through", "gate_weights": "gate"},
    **{"mixing_weights": "mix", "policy_weights": "policy", "value_weights": "value", "hidden_weights": "hidden"},
}


def name_weights(network: Any) -> dict[str, Any]:
    """Returns every weight of a pytree by its path in files, such as 'memory.inputs' or 'kernels.0'."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(network, lambda x: hasattr(x, "dtype")))
    paths = [jax.tree_util.keystr(path, simple=True, separator=".").split(".") for path, _ in leaves]
    return {".".join(NAMES_IN_FILES.get(k, k) for k in path): x for path, (_, x) in zip(paths, leaves, strict=True)}


def read_header(path: str | os.PathLike, kind: "NetworkFormat | None" = None) -> tuple[dict, dict, int]:
    """Reads a safetensors header: its metadata for mesascope, the tensors' types and shapes, and the file's size.

    Args:
        path: the path of the file.
        kind: the format of the file, for error messages; None if the file may have the format of any of mesascope's
            networks.

    Raises:
        MesascopeError: the file does not exist, or its header is not a safetensors header.
    """
    kind = kind or ANY_NETWORK
    try:
        with Path(path).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MAX_HEADER_BYTES:
                raise kind.make_error(path, f"its first eight bytes declare a header of {length:,} bytes")
            header = json.loads(file.read(length))
        tensors = {k: v for k, v in header.items() if k != "__metadata__"}
        shapes = {k: (str(v["dtype"]), tuple(map(int, v["shape"]))) for k, v in tensors.items()}
        size = max((int(v["data_offsets"][1]) for v in tensors.values()), default=0)
        metadata = json.loads(header.get("__metadata__", {}).get("mesascope", "{}"))
        if not isinstance(metadata, dict):
            raise TypeError("its metadata is not an object")
    except FileNotFoundError:
        raise MesascopeError(f"There is no file {str(path)!r}.", kind.make_remedy()) from None
    except OSError as error:
        raise MesascopeError(f"{str(path)!r} cannot be read: {error.strerror}.", kind.make_remedy()) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        raise kind.make_error(path, "it has no readable safetensors header") from None
    return metadata, shapes, 8 + length + size


@dataclasses.dataclass(frozen=True)
class NetworkFormat:
    """Recognises, lists, checks and reads the network files of one format.

    Attributes:
        format: the format's name in the header; '' for all formats.
        noun: the words for a file of this format in error messages.
        integer_ranges: the integers that a header must contain, each with its minimum and maximum.
        find_fault: a function that describes any other fault in a header; it returns '' if the header is valid.
    """

    format: str
    noun: str
    integer_ranges: Mapping[str, tuple[int, int]]
    find_fault: Callable[[Mapping[str, Any]], str] = lambda metadata: ""

    def can_open(self, path: str | os.PathLike) -> bool:
        """Whether a file has the header of a network of this format."""
        try:
            return self._has_this_format(read_header(path)[0].get("format"))
        except MesascopeError:
            return False

    def _has_this_format(self, format_name: Any) -> bool:
        return format_name == self.format or formats.is_old_format(format_name, self.format)

    def list_shipped(self) -> dict[str, Path]:
        """Lists the files of the networks that ship with mesascope, by name."""
        return {p.stem: p for p in sorted(SHIPPED_FOLDER.glob("*.safetensors")) if not self.format or self.can_open(p)}

    def find_file(self, path: str | os.PathLike) -> Path:
        """Finds the file at a path, or the shipped network with that name; returns the path if there is neither.

        Raises:
            MesascopeError: the path is empty.
        """
        if not os.fspath(path):
            raise MesascopeError("No network is named.", self.make_remedy())
        return Path(path) if Path(path).is_file() else self.list_shipped().get(os.fspath(path), Path(path))

    def read_family(self, path: str | os.PathLike) -> str:
        """Reads the family that a network was trained on, with the family's settings."""
        return self.read_metadata(self.find_file(path))["family"]

    def read_metadata(self, path: str | os.PathLike) -> dict[str, Any]:
        """Reads and checks the metadata of a network's file.

        Raises:
            MesascopeError: the file has another format, or its metadata are incomplete or invalid.
        """
        metadata = read_header(path, self)[0]
        if not self._has_this_format(metadata.get("format")):
            raise self.make_error(path, f"its format is {metadata.get('format')!r}, not {self.format!r}")
        if formats.is_old_format(metadata["format"], self.format):
            metadata = formats.rename_old_keys(metadata)
            if isinstance(settings := metadata.get("settings"), dict):
                metadata["settings"] = formats.rename_old_keys(settings, formats.OLD_SETTINGS)
            metadata["command"] = formats.rename_old_settings(str(metadata.get("command", "")))
        for key in ("family", "trained_on"):
            if not isinstance(metadata.get(key), str):
                raise self.make_error(path, f"its metadata has no text {key!r}")
        for key, (low, high) in self.integer_ranges.items():
            if type(metadata.get(key)) is not int or not low <= metadata[key] <= high:
                raise self.make_error(path, f"its metadata has no whole number {key!r} in range")
        if reason := self.find_fault(metadata):
            raise self.make_error(path, reason)
        return metadata

    def load_weights(self, path: str | os.PathLike, template: Any) -> Any:
        """Reads the weights in a file into a pytree with the structure of `template`.

        The arrays (or array shapes) in `template` are replaced with the file's tensors at the same paths.

        Raises:
            MesascopeError: the file has other tensors, is truncated, or has numbers that are not finite.
        """
        expected = {k: ("F32", tuple(v.shape)) for k, v in name_weights(template).items()}
        _, shapes, size = read_header(path, self)
        for weight in sorted(expected.keys() | shapes.keys()):
            if (shape := shapes.get(weight)) != (expected_shape := expected.get(weight)):
                raise self.make_error(path, f"its tensor {weight!r} is {shape}, not {expected_shape}")
        if (found := os.path.getsize(path)) != size:
            raise self.make_error(path, f"it has {found:,} bytes, but its header declares {size:,}")
        try:
            tensors = load_tensors(Path(path).read_bytes())
        except (SafetensorError, OSError, ValueError) as error:
            raise self.make_error(path, str(error)) from None
        if not_finite := sorted(k for k, v in tensors.items() if not np.isfinite(v).all()):
            raise self.make_error(path, f"its weights {', '.join(not_finite)} are not all finite")
        arrays, static = eqx.partition(template, lambda x: hasattr(x, "dtype"))
        filled_arrays = jax.tree.unflatten(jax.tree.structure(arrays), [jnp.asarray(tensors[k]) for k in expected])
        return eqx.combine(filled_arrays, static)

    def make_error(self, path: str | os.PathLike, reason: str) -> MesascopeError:
        """Makes the error for a file that is not a network of this format."""
        return MesascopeError(f"{str(path)!r} is not a {self.noun}: {reason}.", self.make_remedy())

    def make_remedy(self) -> str:
        """Makes the remedy for a wrong file, which lists the shipped networks of this format."""
        ships = ", ".join(self.list_shipped()) or "none"
        return f"Name a file that `mesascope train` wrote, or a shipped network: {ships}."


ANY_NETWORK = NetworkFormat("", "network file of mesascope", {})  # all formats, for error messages
