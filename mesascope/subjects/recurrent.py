"""A network of ours: percept → memory → policy, its weights read from one .safetensors file.

A file holds the weights and, in its header, one JSON text under the key 'mesascope': format, memory, width,
told, choices, observation, horizon, family, trained_on, and what made it. Nothing in a file is ever run.
"""

from __future__ import annotations

import abc
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from mesascope.errors import MesascopeError, unknown
from mesascope.families import Family, Percept, parse_bank
from mesascope.keys import address
from mesascope.subjects import Subject, choose

FORMAT = "mesascope-network/1"
TOLD = ("action", "feedback", "trial", "first", "observation")
HEADER = 1 << 20  # bytes; a larger header is not ours
WIDEST = 4096


class Memory(eqx.Module):
    """Takes in encoded percepts [N, F], gives features [N, W]; subclasses are final, listed in MEMORIES."""

    @abc.abstractmethod
    def fresh(self, n: int) -> Any:
        """The carry at birth, a pytree whose leaves have leading axis n."""

    @abc.abstractmethod
    def step(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        """One percept x [N, F]: the next carry and the features [N, W]."""

    def unroll(self, xs: jax.Array) -> jax.Array:
        """Whole lifetimes xs [T, N, F] from birth: the features [T, N, W] that `step` gives one by one.

        For gradients only the carries are kept and the rest is computed again, which halves the time.
        """
        step = jax.checkpoint(lambda carry, x: self.step(carry, x), prevent_cse=False)
        return jax.lax.scan(step, self.fresh(xs.shape[1]), xs)[1]

    def taps(self, carry: Any) -> dict[str, jax.Array]:
        """Named activations [N, W] in a carry."""
        return {}


class Nothing(Memory):
    """A hidden layer and no carry: the features depend on the present percept alone."""

    weight: jax.Array
    bias: jax.Array

    def __init__(self, key: jax.Array, features: int, width: int):
        self.weight = _scaled(key, (features, width))
        self.bias = jnp.zeros(width)

    def fresh(self, n: int) -> jax.Array:
        """[n, 0]."""
        return jnp.zeros((n, 0))

    def step(self, carry, x):
        """The carry as it came."""
        return carry, jnp.tanh(x @ self.weight + self.bias)

    def unroll(self, xs):
        """All percepts at once."""
        return jnp.tanh(xs @ self.weight + self.bias)


class GRU(Memory):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), the reset gate behind the matrix product."""

    inputs: jax.Array  # [F, 3W]: reset, update, candidate
    recurrent: jax.Array  # [W, 3W]
    bias: jax.Array  # [3W]
    inner: jax.Array  # [W] bias of the candidate inside the reset gate

    def __init__(self, key: jax.Array, features: int, width: int):
        self.inputs = _scaled(address(key, "inputs"), (features, 3 * width))
        self.recurrent = _orthogonal(address(key, "recurrent"), width, 3)
        self.bias = jnp.zeros(3 * width)
        self.inner = jnp.zeros(width)

    def fresh(self, n: int) -> jax.Array:
        """[n, W] zeros."""
        return jnp.zeros((n, len(self.inner)))

    def step(self, carry, x):
        """The next state is carry and features."""
        r, z, new = jnp.split(x @ self.inputs + self.bias, 3, -1)
        hr, hz, hn = jnp.split(carry @ self.recurrent, 3, -1)
        z = jax.nn.sigmoid(z + hz)
        candidate = jnp.tanh(new + jax.nn.sigmoid(r + hr) * (hn + self.inner))
        h = candidate + z * (carry - candidate)
        return h, h

    def taps(self, carry):
        """'core.h'."""
        return {"core.h": carry}


class LSTM(Memory):
    """Long short-term memory with forget gates (Gers et al. 2000), the forget bias starting at 1."""

    inputs: jax.Array  # [F, 4W]: input, forget, output, candidate
    recurrent: jax.Array  # [W, 4W]
    bias: jax.Array  # [4W]

    def __init__(self, key: jax.Array, features: int, width: int):
        self.inputs = _scaled(address(key, "inputs"), (features, 4 * width))
        self.recurrent = _orthogonal(address(key, "recurrent"), width, 4)
        self.bias = jnp.zeros(4 * width).at[width : 2 * width].set(1.0)

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Output h and cell c, each [n, W] zeros."""
        return jnp.zeros((n, len(self.recurrent))), jnp.zeros((n, len(self.recurrent)))

    def step(self, carry, x):
        """The features are the output h."""
        i, f, o, g = jnp.split(x @ self.inputs + carry[0] @ self.recurrent + self.bias, 4, -1)
        c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def taps(self, carry):
        """'core.h' and 'core.c'."""
        return {"core.h": carry[0], "core.c": carry[1]}


MEMORIES: dict[str, Callable[[jax.Array, int, int], Memory]] = {"none": Nothing, "gru": GRU, "lstm": LSTM}


def _scaled(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    return jax.random.normal(key, shape) / np.sqrt(max(shape[0], 1))


def _orthogonal(key: jax.Array, width: int, gates: int) -> jax.Array:  # [W, gates W]
    return jnp.concatenate([jax.random.orthogonal(address(key, i), width) for i in range(gates)], axis=1)


class Recurrent(Subject):
    """A trained network with its weights frozen.

    Attributes:
        memory: what is carried from trial to trial.
        policy: weights [W, K] of the action's logits.
        policy_bias: [K].
        value: weights [W] of the critic, used in training only.
        value_bias: [].
        told: which parts of the percept it is told, of TOLD.
        choices: K.
        horizon: the trials of a training lifetime, by which the trial index is divided.
    """

    name: str
    trained_on: str  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
    memory: Memory
    policy: jax.Array
    policy_bias: jax.Array
    value: jax.Array
    value_bias: jax.Array
    told: tuple[str, ...]
    choices: int
    horizon: int

    identity: ClassVar = ("name", "trained_on")

    def encode(self, percept: Percept) -> jax.Array:
        """What it is told, as features [N, F]."""
        parts = {
            "action": jax.nn.one_hot(percept.action, self.choices),  # all zero before the first
            "feedback": percept.feedback[:, None],
            "trial": percept.trial[:, None] / self.horizon,
            "first": percept.first[:, None],
            "observation": percept.observation,
        }
        return jnp.concatenate([jnp.asarray(parts[k], jnp.float32) for k in self.told], axis=-1)

    def fresh(self, n: int) -> Any:
        """Zeros; of width 0 without memory."""
        return self.memory.fresh(n)

    def respond(self, key: jax.Array, carry: Any, percept: Percept):
        """Takes in the percept, then draws from the policy."""
        carry, features = self.memory.step(carry, self.encode(percept))
        return carry, choose(key, self.log_probs(features))

    def log_probs(self, features: jax.Array) -> jax.Array:
        """Log-probabilities [..., K] of the actions from features [..., W]."""
        return jax.nn.log_softmax(features @ self.policy + self.policy_bias)

    def worth(self, features: jax.Array) -> jax.Array:
        """The critic's estimate [...] of the discounted reward to come, for training."""
        return features @ self.value + self.value_bias

    def taps(self, carry: Any) -> dict[str, jax.Array]:
        """'core.h', and 'core.c' of an LSTM."""
        return self.memory.taps(carry)


def create(
    key: jax.Array, memory: str, width: int, told: tuple[str, ...], sizes: tuple[int, int, int]
) -> Recurrent:
    """An untrained network.

    Args:
        key: of its weights.
        memory: none, gru or lstm.
        width: W, units.
        told: parts of the percept, of TOLD.
        sizes: choices K, observation D, horizon T.
    """
    if memory not in MEMORIES:
        raise unknown("memory", memory, MEMORIES)
    if not 1 <= width <= WIDEST:
        raise MesascopeError(f"width={width} is out of range.", f"Give a whole number from 1 to {WIDEST}.")
    for part in told:
        if part not in TOLD:
            raise unknown("part of the percept", part, TOLD)
    if not told or len(set(told)) != len(told):
        raise MesascopeError("told names nothing, or a part twice.", f"Type {'+'.join(TOLD)}.")
    choices, observation, horizon = sizes
    features = sum({"action": choices, "observation": observation}.get(part, 1) for part in told)
    return Recurrent(
        name="untrained",
        trained_on="unknown",
        memory=MEMORIES[memory](address(key, "memory"), features, width),
        policy=0.01 * _scaled(address(key, "policy"), (width, choices)),
        policy_bias=jnp.zeros(choices),
        value=jnp.zeros(width),
        value_bias=jnp.zeros(()),
        told=tuple(told),
        choices=choices,
        horizon=horizon,
    )


def observation_width(family: Family) -> int:
    """D, the width of a family's observations."""
    key = jax.random.key(0)
    percept = jax.eval_shape(lambda: family.begin(key, family.draw(key, 1, "fresh"))[1])
    return percept.observation.shape[-1]


def weights(network: Recurrent) -> dict[str, Any]:
    """Every weight by its path, e.g. 'memory.inputs'."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(network, lambda x: hasattr(x, "dtype")))
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def bundled() -> dict[str, Path]:
    """The networks that ship, by name."""
    return {p.stem: p for p in sorted((Path(__file__).parent / "networks").glob("*.safetensors"))}


def opens(path: str | os.PathLike) -> bool:
    """Whether a file is a network of ours, by its header alone."""
    try:
        return read_header(path)[0].get("format") == FORMAT
    except MesascopeError:
        return False


def family_of(path: str | os.PathLike) -> str:
    """The family that a network was trained on, with its settings."""
    return about(path if Path(path).is_file() else bundled().get(os.fspath(path), path))["family"]


def subject(family: Family, path: str = "") -> Recurrent:
    """A trained network of ours, read from its .safetensors file.

    Args:
        family: what it is put to; it needs the network's number of choices.
        path: the file, or the name of a network that ships.
    """
    if not path:
        raise _refused("No network is named.")
    file = Path(path) if Path(path).is_file() else bundled().get(path, Path(path))
    told = about(file)
    network = _filled(file, told, f"recurrent:path={path}")
    if network.choices != family.choices:
        raise MesascopeError(
            f"{str(path)!r} chooses between {network.choices} actions, {family.name} has {family.choices}.",
            f"Put it to its own family, {told['family']}, or to one with {network.choices} choices.",
        )
    shown = observation_width(family)
    if "observation" in network.told and shown != told["observation"]:
        raise MesascopeError(
            f"{str(path)!r} observes {told['observation']} numbers, {family.name} shows {shown}.",
            f"Put it to its own family, {told['family']}.",
        )
    return eqx.tree_at(lambda n: n.trained_on, network, _there(family, told))


def about(path: str | os.PathLike) -> dict[str, Any]:
    """What a network's file says of it, checked.

    Raises:
        MesascopeError: not a file of ours, or what it says is missing or of another kind.
    """
    told = read_header(path)[0]
    if told.get("format") != FORMAT:
        raise _broken(path, f"its format is {told.get('format')!r}, not {FORMAT!r}")
    for key in ("memory", "family", "trained_on"):
        if not isinstance(told.get(key), str):
            raise _broken(path, f"its metadata has no text {key!r}")
    if told["trained_on"] not in ("unlimited", "unknown"):
        parse_bank(told["trained_on"])
    for key, least in (("width", 1), ("choices", 2), ("observation", 0), ("horizon", 1)):
        value = told.get(key)
        if type(value) is not int or not least <= value <= 10**6:
            raise _broken(path, f"its metadata has no whole number {key!r} in range")
    parts = told.get("told")
    if not isinstance(parts, list) or not all(isinstance(p, str) for p in parts):
        raise _broken(path, "its metadata does not list what it is told")
    return told


def read_header(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Any], int]:
    """The JSON under 'mesascope' in a safetensors header, the tensors' types and shapes, the file's bytes.

    Raises:
        MesascopeError: no such file, or its header is not one of safetensors.
    """
    try:
        with Path(path).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= HEADER:
                raise _broken(path, f"its first eight bytes announce a header of {length:,} bytes")
            header = json.loads(file.read(length))
        tensors = {k: v for k, v in header.items() if k != "__metadata__"}
        shapes = {k: (str(v["dtype"]), tuple(map(int, v["shape"]))) for k, v in tensors.items()}
        size = max((int(v["data_offsets"][1]) for v in tensors.values()), default=0)
        told = json.loads(header.get("__metadata__", {}).get("mesascope", "{}"))
        if not isinstance(told, dict):
            raise TypeError("its metadata is no object")
    except FileNotFoundError:
        raise _refused(f"There is no file {str(path)!r}.") from None
    except OSError as error:
        raise _refused(f"{str(path)!r} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        raise _broken(path, "it has no readable safetensors header") from None
    return told, shapes, 8 + length + size


def _filled(path: str | os.PathLike, told: dict[str, Any], name: str) -> Recurrent:
    """The network of a file, every tensor checked before it is read."""
    sizes = (told["choices"], told["observation"], told["horizon"])
    try:
        settings = told["memory"], told["width"], tuple(told["told"])
        empty = eqx.filter_eval_shape(create, jax.random.key(0), *settings, sizes)
    except MesascopeError as error:
        raise _broken(path, error.problem.rstrip(".")) from None
    expected = {k: ("F32", v.shape) for k, v in weights(empty).items()}
    _, shapes, size = read_header(path)
    for weight in sorted(expected.keys() | shapes.keys()):
        if expected.get(weight) != shapes.get(weight):
            raise _broken(path, f"its tensor {weight!r} is {shapes.get(weight)}, not {expected.get(weight)}")
    found = os.path.getsize(path)
    if found != size:
        raise _broken(path, f"it has {found:,} bytes, its header announces {size:,}")
    try:
        tensors = load(Path(path).read_bytes())
    except (SafetensorError, OSError, ValueError) as error:
        raise _broken(path, str(error)) from None
    odd = sorted(k for k, v in tensors.items() if not np.isfinite(v).all())
    if odd:
        raise _broken(path, f"its weights {', '.join(odd)} are not all finite")
    leaves, structure = jax.tree.flatten(empty)
    names = iter(weights(empty))
    full = [jnp.asarray(tensors[next(names)]) if hasattr(x, "dtype") else x for x in leaves]
    network = jax.tree.unflatten(structure, full)
    return eqx.tree_at(lambda n: (n.name, n.trained_on), network, (name, told["trained_on"]))


def _there(family: Family, told: dict[str, Any]) -> str:
    """What it was trained on as this family knows it: a bank of another family is unknown here."""
    bank = told["trained_on"]
    if bank.startswith("bank:") and family.banked(bank).name != told["family"]:
        return "unknown"
    return bank


def _broken(path: str | os.PathLike, reason: str) -> MesascopeError:
    return _refused(f"{str(path)!r} is no network of ours: {reason}.")


def _refused(problem: str) -> MesascopeError:
    known = ", ".join(bundled()) or "none"
    return MesascopeError(
        problem, f"Name a file that `mesascope train` wrote, or a network that ships: {known}."
    )
