"""A network of ours: percept → memory → policy, its weights read from one .safetensors file.

A file holds the weights and, in its header, one JSON text under the key 'mesascope': format, memory, width,
told, choices, observation, horizon, family, trained_on, and what made it. Nothing in a file is ever run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
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
from mesascope.subjects import Response, Subject, choose
from mesascope.subjects._memories import GRU, LSTM, Memory, Nothing, scaled
from mesascope.subjects._sequences import LRU, LinearAttention, Transformer

FORMAT = "mesascope-network/1"
TOLD = ("action", "feedback", "trial", "first", "observation", "step")
HEADER = 1 << 20  # bytes; a larger header is not ours
WIDEST = 4096
DEEPEST = 64  # layers
MEMORIES: dict[str, Callable[..., Memory]] = {
    "none": Nothing,
    "gru": GRU,
    "lstm": LSTM,
    "transformer": Transformer,
    "linear_attention": LinearAttention,
    "lru": LRU,
}
LAYERED = ("transformer", "linear_attention")  # those that are told depth and heads


class Recurrent(Subject):
    """A trained network with its weights frozen.

    Attributes:
        memory: what is carried from trial to trial.
        policy: weights [W, K] of the action's logits, [W, 1] of the action itself where actions are real.
        policy_bias: [K], or [1].
        value: weights [W] of the critic, used in training only.
        value_bias: [].
        told: which parts of the percept it is told, of TOLD.
        choices: K, None where actions are real numbers.
        horizon: the steps of a training lifetime, by which the trial index is divided.
    """

    name: str
    trained_on: str  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
    memory: Memory
    policy: jax.Array
    policy_bias: jax.Array
    value: jax.Array
    value_bias: jax.Array
    told: tuple[str, ...]
    choices: int | None
    horizon: int

    identity: ClassVar = ("name", "trained_on")

    def encode(self, percept: Percept) -> jax.Array:
        """What it is told, as features [N, F]."""
        parts = {
            "action": percept.action[:, None]
            if self.choices is None
            else jax.nn.one_hot(percept.action, self.choices),  # all zero before the first
            "feedback": percept.feedback[:, None],
            "trial": percept.trial[:, None] / self.horizon,
            "first": percept.first[:, None],
            "observation": percept.observation,
            "step": jnp.log1p(jnp.asarray(percept.step, jnp.float32))[:, None],
        }
        return jnp.concatenate([jnp.asarray(parts[k], jnp.float32) for k in self.told], axis=-1)

    def fresh(self, n: int) -> Any:
        """Zeros; of width 0 without memory."""
        return self.memory.fresh(n)

    def respond(self, key: jax.Array, carry: Any, percept: Percept):
        """Takes in the percept, then draws from the policy, or says a real number."""
        carry, features = self.memory.step(carry, self.encode(percept))
        if self.choices is None:
            return carry, Response(self.number(features), None)
        return carry, choose(key, self.log_probs(features))

    def number(self, features: jax.Array) -> jax.Array:
        """The action [...] from features [..., W] where actions are real numbers."""
        return (features @ self.policy + self.policy_bias)[..., 0]

    def log_probs(self, features: jax.Array) -> jax.Array:
        """Log-probabilities [..., K] of the actions from features [..., W]."""
        return jax.nn.log_softmax(features @ self.policy + self.policy_bias)

    def worth(self, features: jax.Array) -> jax.Array:
        """The critic's estimate [...] of the discounted reward to come, for training."""
        return features @ self.value + self.value_bias

    def taps(self, carry: Any) -> dict[str, jax.Array]:
        """Named activations [N, U] of its memory."""
        return self.memory.taps(carry)

    def untrained(self, seed: int) -> Recurrent:
        """A network of the same shape as training starts from."""
        kind = next(k for k, made in MEMORIES.items() if made is type(self.memory))

        def twin(observation: int) -> Recurrent:
            sizes = (self.choices, observation, self.horizon)
            key, layout = jax.random.key(seed), self.memory.layout
            return create(key, kind, len(self.policy), self.told, sizes, layout)

        mine, blind = (jax.tree.leaves(eqx.filter(n, eqx.is_array)) for n in (self, twin(0)))
        return twin(max(len(a) - len(b) if a.ndim else 0 for a, b in zip(mine, blind, strict=True)))


def create(
    key: jax.Array,
    memory: str,
    width: int,
    told: tuple[str, ...],
    sizes: tuple[int | None, int, int],
    layout: Mapping[str, int] | None = None,
) -> Recurrent:
    """An untrained network.

    Args:
        key: of its weights.
        memory: none, gru, lstm, transformer, linear_attention or lru.
        width: W, units.
        told: parts of the percept, of TOLD.
        sizes: choices K (None for real actions), observation D, horizon T.
        layout: depth and heads of a memory with layers; by default its own.
    """
    if memory not in MEMORIES:
        raise unknown("memory", memory, MEMORIES)
    if not 1 <= width <= WIDEST:
        raise MesascopeError(f"width={width} is out of range.", f"Give a whole number from 1 to {WIDEST}.")
    layout = dict(layout or {})
    if layout and memory not in LAYERED:
        raise MesascopeError(
            f"The memory {memory} has no depth and heads.", f"Leave them out, or take {' or '.join(LAYERED)}."
        )
    for part, most in (("depth", DEEPEST), ("heads", width)):
        if not 1 <= layout.get(part, 1) <= most:
            raise MesascopeError(
                f"{part}={layout[part]} is out of range.", f"Give a whole number from 1 to {most}."
            )
    if width % layout.get("heads", 1):
        raise MesascopeError(f"width={width} is no multiple of heads={layout['heads']}.", "Give a multiple.")
    for part in told:
        if part not in TOLD:
            raise unknown("part of the percept", part, TOLD)
    if not told or len(set(told)) != len(told):
        raise MesascopeError("told names nothing, or a part twice.", f"Type {'+'.join(TOLD)}.")
    choices, observation, horizon = sizes
    outputs = 1 if choices is None else choices
    features = sum({"action": outputs, "observation": observation}.get(part, 1) for part in told)
    return Recurrent(
        name="untrained",
        trained_on="unknown",
        memory=MEMORIES[memory](address(key, "memory"), features, width, horizon, **layout),
        policy=0.01 * scaled(address(key, "policy"), (width, outputs)),
        policy_bias=jnp.zeros(outputs),
        value=jnp.zeros(width),
        value_bias=jnp.zeros(()),
        told=tuple(told),
        choices=choices,
        horizon=horizon,
    )


def begun(
    key: jax.Array,
    family: Family,
    memory: str,
    width: int,
    told: str,
    layout: Mapping[str, int] | None = None,
) -> Recurrent:
    """An untrained network for a family; told names parts of the percept, joined by +."""
    sizes = (family.choices, observation_width(family), family.horizon * family.steps)
    return create(key, memory, width, tuple(told.split("+")), sizes, layout)


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
    """The networks of this kind that ship, by name."""
    there = sorted((Path(__file__).parent / "networks").glob("*.safetensors"))
    return {p.stem: p for p in there if _format(p) == FORMAT}


def _format(path: Path) -> str | None:
    """What kind of network a file that ships holds."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return json.loads(header["__metadata__"]["mesascope"]).get("format")


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
            f"{str(path)!r} {_acts(network.choices)}, {family.name} has {family.choices or 'real numbers'}.",
            f"Put it to its own family, {told['family']}, or to one with {network.choices or 'real'} choices.",
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
        if key == "choices" and key in told and value is None:
            continue  # its actions are real numbers
        if type(value) is not int or not least <= value <= 10**6:
            raise _broken(path, f"its metadata has no whole number {key!r} in range")
    if not all(type(told.get(k, 1)) is int for k in ("depth", "heads")):
        raise _broken(path, "its depth and heads are no whole numbers")
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
        layout = {k: told[k] for k in ("depth", "heads") if k in told}
        empty = eqx.filter_eval_shape(create, jax.random.key(0), *settings, sizes, layout)
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


def _acts(choices: int | None) -> str:
    return "acts by real numbers" if choices is None else f"chooses between {choices} actions"


def _broken(path: str | os.PathLike, reason: str) -> MesascopeError:
    return _refused(f"{str(path)!r} is no network of ours: {reason}.")


def _refused(problem: str) -> MesascopeError:
    known = ", ".join(bundled()) or "none"
    return MesascopeError(
        problem, f"Name a file that `mesascope train` wrote, or a network that ships: {known}."
    )
