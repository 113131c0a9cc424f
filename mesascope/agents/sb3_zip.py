"""Reads a zip of stable-baselines3 or sb3-contrib as a frozen policy, and the pickles in it as data.

The zip contains everything that is needed to build a policy: its weights (policy.pth, read with weights_only) and, in
`data`, pickles of its class, settings and spaces. The pickles name standard classes, except in customised agents. The
module `pickles` reads the pickles without imports or calls, and this module looks up the classes. So a zip of an old
version can be read even if its pickles need a package that is not installed (gym).
"""

import base64
import binascii
import collections
import inspect
import io
import math
import os
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from mesascope.agents import pickles as _pickles
from mesascope.agents import torch_support as _torch
from mesascope.agents.foreign import FileKind
from mesascope.contracts import import_optional_package
from mesascope.errors import MesascopeError
from mesascope.guards import gate, limits

REQUIRED_MEMBERS = {"data", "policy.pth"}
MAX_DATA_BYTES = 32 << 20  # the maximum number of bytes of `data`
POLICY_MODULES = re.compile(r"(stable_baselines3|sb3_contrib)(\.\w+)*\.policies")
LAYER_MODULES = re.compile(r"torch\.nn\.modules\.\w+")
EXTRACTOR_MODULE = "stable_baselines3.common.torch_layers"
UNUSED_SETTINGS = ("optimizer_class", "optimizer_kwargs")
MAX_INTEGER = 1 << 16
SPACE_FIELDS = ("n", "start", "nvec", "low", "high", "dtype")  # the fields that define a space
ZIP = FileKind(
    "agent of stable-baselines3",
    "Name a zip that model.save() wrote.",
    "Copy it again, or save it again: model.save().",
)


class AgentFile(NamedTuple):
    """The content of a zip: its `data`, in which pickles are still encoded as base64, and the bytes of its weights."""

    path: str
    data: dict[str, Any]
    weights: bytes

    def read_entry(self, name: str) -> Any:
        """Reads one entry of `data`; reads a pickle as data, without running it."""
        value = self.data.get(name)
        if isinstance(value, dict) and ":serialized:" in value:
            return _pickles.read_pickle(self.get_pickle(name), f"{self.path!r}, {name},")
        return value

    def get_pickle(self, name: str) -> bytes:
        """Decodes the bytes of an entry's pickle."""
        try:
            return base64.b64decode(str(self.data[name][":serialized:"]), validate=True)
        except (binascii.Error, ValueError):
            raise ZIP.make_error(self.path, f"its entry {name!r} is not base64") from None


def can_open(path: str | os.PathLike) -> bool:
    """Whether this adapter opens a file: a zip with the REQUIRED_MEMBERS, or a broken .zip.

    If the file is a broken .zip, `read_agent_file` then raises the error.
    """
    try:
        with zipfile.ZipFile(path) as zipped:
            is_at_start = min((x.header_offset for x in zipped.infolist()), default=1) == 0
            return set(zipped.namelist()) >= REQUIRED_MEMBERS or (
                not is_at_start and Path(path).suffix.lower() == ".zip"
            )
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return Path(path).suffix.lower() == ".zip"
    except OSError:
        return False


def read_agent_file(path: str) -> AgentFile:
    """Reads a zip with limited memory, without running any code in it.

    Raises:
        MesascopeError: the file does not exist, is truncated, or would unpack to many times its size.
    """
    with ZIP.explain_errors(path):
        size = limits.get_file_size(path)
        with zipfile.ZipFile(path) as zipped:
            if missing := sorted(REQUIRED_MEMBERS - set(zipped.namelist())):
                raise ZIP.make_error(path, f"it has no {' and no '.join(missing)}")
            for name in REQUIRED_MEMBERS:
                if (
                    unpacked_size := zipped.getinfo(name).file_size
                ) > limits.MAX_SMALL_BYTES + limits.MAX_UNPACKING_RATIO * size:
                    raise ZIP.make_error(path, f"{name} unpacks to {unpacked_size:,} bytes")
            if zipped.getinfo("data").file_size > MAX_DATA_BYTES:
                raise ZIP.make_error(path, f"its data has {zipped.getinfo('data').file_size:,} bytes")
            data, weights = limits.parse_json(zipped.read("data")), zipped.read("policy.pth")
    if not isinstance(data, dict):
        raise ZIP.make_error(path, "its data is not a JSON object")
    return AgentFile(path, data, weights)


def read_space(archive: AgentFile, name: str) -> gymnasium.Space:
    """Rebuilds a space from its pickle, which any version of gym or gymnasium may have written.

    Raises:
        MesascopeError: the space is not Box, Discrete, MultiDiscrete or MultiBinary.
    """
    return _rebuild_space(archive, name, archive.read_entry(name))


def _rebuild_space(archive: AgentFile, name: str, value: Any) -> gymnasium.Space:
    """Rebuilds one space, or a Dict of spaces, from its inert form."""
    origin = getattr(value, "origin", ("", ""))
    if isinstance(value, _pickles.InertObject) and origin[0].partition(".")[0] in ("gym", "gymnasium"):
        state: Any = value.state
        if origin[1] == "Dict":
            parts = state.get("spaces") if isinstance(state, dict) else None
            parts = dict(parts.items) if isinstance(parts, _pickles.InertObject) else parts
            if isinstance(parts, dict) and all(isinstance(k, str) for k in parts):
                inner = {k: _rebuild_space(archive, name, v) for k, v in parts.items()}
                return gymnasium.spaces.Dict(collections.OrderedDict(inner))  # which keeps the order of the keys
        try:
            fields = {k: _pickles.rebuild_value(v) for k, v in state.items() if k in SPACE_FIELDS}
            shape = _pickles.rebuild_value(state.get("_shape", state.get("shape", ())))
            one_hot = np.prod(fields.get("n", 1), dtype=float), np.sum(fields.get("nvec", 0), dtype=float)
            if (count := max(math.prod(shape or ()), *one_hot)) > limits.MAX_OBSERVATION_SIZE:
                raise ValueError(f"it has {count:,.0f} numbers")
            if origin[1] == "Discrete":
                return gymnasium.spaces.Discrete(int(fields["n"]), start=int(fields.get("start") or 0))
            if origin[1] == "MultiDiscrete":
                return gymnasium.spaces.MultiDiscrete(fields["nvec"])
            if origin[1] == "MultiBinary":
                return gymnasium.spaces.MultiBinary(int(np.prod(fields["n"])))
            if origin[1] == "Box":
                low, high = (np.broadcast_to(fields[k], shape) for k in ("low", "high"))
                return gymnasium.spaces.Box(low, high, dtype=np.dtype(fields["dtype"]).type)
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError, OverflowError) as error:
            raise ZIP.make_error(archive.path, f"its {name} cannot be read ({error})") from None
    if origin[1] in ("Tuple", "Text", "Graph", "Sequence"):
        problem = f"The {name} of {archive.path!r} is a {origin[1]}."
        raise MesascopeError(problem, "Flatten the space: a subject's observation in mesascope is one array.")
    raise ZIP.make_error(archive.path, f"its {name} is none of Gymnasium's spaces")


def load_policy(archive: AgentFile, spaces: tuple[gymnasium.Space, gymnasium.Space], is_trusted: bool) -> Any:
    """Builds the frozen policy of a zip with its weights, on the CPU.

    Raises:
        MesascopeError: the policy's class or settings are customised and not trusted, or the weights do not fit.
    """
    policy_class, settings = _find_policy_class(archive, is_trusted), _read_settings(archive, is_trusted)
    weights = _torch.load_torch_file(io.BytesIO(archive.weights), f"The member policy.pth of {archive.path!r}")
    n_weights = sum(getattr(w, "numel", int)() for w in weights.values()) if isinstance(weights, dict) else 0
    excess_error = ZIP.make_error(
        archive.path, f"its settings define more weights than the {n_weights:,} that it contains"
    )
    try:
        with _torch.limit_parameters(2 * n_weights, excess_error), _torch.fork_seed(0):
            network = _build_policy(policy_class, spaces, settings)
    except MesascopeError:
        raise
    except Exception as error:
        raise ZIP.make_error(archive.path, f"its policy cannot be built: {type(error).__name__}: {error}") from error
    _torch.load_weights(network, weights, f"The member policy.pth of {archive.path!r}")
    return _torch.freeze(network)


def build_untrained_policy(
    archive: AgentFile, spaces: tuple[gymnasium.Space, gymnasium.Space], is_trusted: bool, seed: int
) -> Any:
    """Builds a policy of the same shape, with weights as they are before training."""
    with _torch.fork_seed(seed):
        return _torch.freeze(
            _build_policy(_find_policy_class(archive, is_trusted), spaces, _read_settings(archive, is_trusted))
        )


def _build_policy(policy_class: Any, spaces: tuple[gymnasium.Space, gymnasium.Space], settings: dict[str, Any]) -> Any:
    """Builds a policy; passes a learning-rate schedule only if the policy's class accepts one."""
    parameters = inspect.signature(policy_class).parameters
    if "lr_schedule" in parameters:
        return policy_class(*spaces, lr_schedule=lambda _: 0.0, **settings)
    return policy_class(*spaces, *([lambda _: 0.0] if "args" in parameters else []), **settings)


def _find_policy_class(archive: AgentFile, is_trusted: bool) -> Any:
    """Finds the policy's class, which a pickle in the zip names."""
    origin = _pickles.find_reference(archive.read_entry("policy_class"))
    if origin and POLICY_MODULES.fullmatch(origin[0]):
        policy_class = getattr(import_optional_package(origin[0], "sb3"), origin[1], None)
        base = import_optional_package("stable_baselines3.common.policies", "sb3").BasePolicy
        if isinstance(policy_class, type) and issubclass(policy_class, base):
            return policy_class
    return _unpickle_trusted(archive, "policy_class", is_trusted, ".".join(origin) if origin else "a custom class")


def _read_settings(archive: AgentFile, is_trusted: bool) -> dict[str, Any]:
    """Reads the policy's settings, with standard classes in place of their names."""
    content = archive.read_entry("policy_kwargs")
    try:
        if not isinstance(content, dict | None):
            raise _UnknownSetting("not a dictionary")
        result = {str(k): _resolve_classes(v) for k, v in (content or {}).items() if k not in UNUSED_SETTINGS}
    except _UnknownSetting as unknown:
        unpickled = dict(_unpickle_trusted(archive, "policy_kwargs", is_trusted, str(unknown)))
        result = {k: v for k, v in unpickled.items() if k not in UNUSED_SETTINGS}
    else:
        arch = result.get("net_arch")
        if isinstance(arch, list) and len(arch) == 1 and isinstance(arch[0], dict):  # before 1.8
            result["net_arch"] = arch[0]
    return result | ({"use_sde": True} if archive.data.get("use_sde") is True else {})


class _UnknownSetting(Exception):
    """Raised for a setting whose value needs code from the file; the exception's text names this value."""


def _resolve_classes(value: Any, depth: int = 0) -> Any:
    """Replaces the names of standard layers and feature extractors in plain data with the classes."""
    if isinstance(value, bool | float | str | None) or (isinstance(value, int) and abs(value) <= MAX_INTEGER):
        return value
    if depth < 8 and isinstance(value, list | tuple):
        return type(value)(_resolve_classes(x, depth + 1) for x in value)
    if depth < 8 and isinstance(value, dict):
        return {k: _resolve_classes(x, depth + 1) for k, x in value.items() if isinstance(k, str)}
    origin = _pickles.find_reference(value) or ("", type(value).__name__)
    module_name = "torch.nn" if LAYER_MODULES.fullmatch(origin[0]) else EXTRACTOR_MODULE
    if module_name == "torch.nn" or origin[0] == EXTRACTOR_MODULE:
        torch_class = getattr(import_optional_package(module_name, "sb3"), origin[1], None)
        if isinstance(torch_class, type) and issubclass(torch_class, import_optional_package("torch", "sb3").nn.Module):
            return torch_class
    raise _UnknownSetting(".".join(filter(None, origin)))


def _unpickle_trusted(agent_file: AgentFile, name: str, is_trusted: bool, origin: str) -> Any:
    """Unpickles a customised entry if the user trusts the file; raises `MesascopeError` if not."""
    if not is_trusted:
        problem = f"{agent_file.path!r} is customised: its {name} is {origin}, "
        problem += "and unpickling it would run code from the file."
        raise MesascopeError(problem, "If you trust the author of the file, add --trust (trust=True in Python).")
    value = agent_file.data.get(name)
    if not isinstance(value, dict) or ":serialized:" not in value:
        raise ZIP.make_error(agent_file.path, f"it has no {name}")
    import_optional_package("cloudpickle", "sb3")
    try:
        return gate.load_pickle(agent_file.get_pickle(name), is_trusted)
    except Exception as error:
        problem = f"The {name} of {agent_file.path!r} cannot be unpickled: {type(error).__name__}: {error}."
        raise MesascopeError(problem, "Put the modules that define the customised classes on PYTHONPATH.") from error
