"""Our recurrent networks, which consist of a memory and a policy, with weights from one .safetensors file.

A file contains the weights and, in its header, one JSON text under the key 'mesascope': format, memory, width,
observes, choices, observation, horizon, family, trained_on, and the network's provenance. No file contains code.

In shapes, N is the number of lifetimes, F of inputs, W of units (the width), and K of choices.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.memories import GRU, LSTM, Memory, NoMemory, draw_weights
from mesascope.agents.networks.network_files import NetworkFormat
from mesascope.agents.networks.sequences import LRU, LinearAttention, Transformer
from mesascope.contracts import Family, NamedSubject, Percept, Response, check_range, choose, parse_bank
from mesascope.errors import MesascopeError, require_known_name
from mesascope.formats import NETWORK_FORMAT
from mesascope.keys import derive_key

PERCEPT_PARTS = ("action", "feedback", "trial", "first", "observation", "step")
MAX_WIDTH = 4096
MAX_INTEGER = 10**6  # the maximum of any integer in a header
MAX_DEPTH = 64  # the maximum number of layers
MEMORIES: dict[str, Callable[..., Memory]] = {
    "none": NoMemory,
    "gru": GRU,
    "lstm": LSTM,
    "transformer": Transformer,
    "linear_attention": LinearAttention,
    "lru": LRU,
}
MEMORIES_WITH_LAYERS = ("transformer", "linear_attention")  # memories with the settings depth and heads


def _find_fault(metadata: Mapping[str, Any]) -> str:
    """Describes what is wrong with a header's memory, choices or parts of the percept; '' if all are valid."""
    if not isinstance(metadata.get("memory"), str):
        return "its metadata has no text 'memory'"
    if metadata["trained_on"] not in ("unlimited", "unknown"):
        parse_bank(metadata["trained_on"])
    choices = metadata.get("choices", 0)
    if choices is not None and (type(choices) is not int or not 2 <= choices <= MAX_INTEGER):  # None for real actions
        return "its metadata has no whole number 'choices' in range"
    if not all(type(metadata.get(k, 1)) is int for k in ("depth", "heads")):
        return "its depth and heads are not whole numbers"
    parts = metadata.get("observes")
    if not isinstance(parts, list) or not all(isinstance(p, str) for p in parts):
        return "its metadata does not list the parts of the percept that the network observes"
    return ""


INTEGER_RANGES = {"width": (1, MAX_INTEGER), "observation": (0, MAX_INTEGER), "horizon": (1, MAX_INTEGER)}
FILE_FORMAT = NetworkFormat(NETWORK_FORMAT, "network file of mesascope", INTEGER_RANGES, _find_fault)
can_open, read_family = FILE_FORMAT.can_open, FILE_FORMAT.read_family
list_shipped, read_metadata = FILE_FORMAT.list_shipped, FILE_FORMAT.read_metadata


class Recurrent(NamedSubject):
    """A trained network with frozen weights.

    Attributes:
        memory: the recurrent part.
        policy_weights: [W, K] the weights for the actions' logits, or [W, 1] the weights for a real action.
        policy_bias: [K] the bias of the logits, or [1] the bias of a real action.
        value_weights: [W] the weights of the critic, which only training uses.
        value_bias: [] the bias of the critic.
        observes: the parts of the percept that the network observes, all of them in PERCEPT_PARTS.
        choices: K, the number of choices, or None if actions are real numbers.
        horizon: the number of steps in a training lifetime, by which the trial index is divided.
    """

    memory: Memory
    policy_weights: jax.Array
    policy_bias: jax.Array
    value_weights: jax.Array
    value_bias: jax.Array
    observes: tuple[str, ...]
    choices: int | None
    horizon: int

    def encode(self, percept: Percept) -> jax.Array:
        """Encodes the observed parts of the percept as features [N, F]."""
        one_hot = None if self.choices is None else jax.nn.one_hot(percept.action, self.choices)
        parts = {
            "action": percept.action[:, None] if one_hot is None else one_hot,  # all zero before the first action
            "feedback": percept.feedback[:, None],
            "trial": percept.trial[:, None] / self.horizon,
            "first": percept.first[:, None],
            "observation": percept.observation,
            "step": jnp.log1p(jnp.asarray(percept.step, jnp.float32))[:, None],
        }
        return jnp.concatenate([jnp.asarray(parts[k], jnp.float32) for k in self.observes], axis=-1)

    def initialize_carry(self, n: int) -> Any:
        """Makes a carry of zeros, of width 0 if there is no memory."""
        return self.memory.initialize_carry(n)

    def respond(self, key: jax.Array, carry: Any, percept: Percept):
        """Updates the memory, then draws an action from the policy or computes a real action."""
        carry, features = self.memory.step(carry, self.encode(percept))
        if self.choices is None:
            return carry, Response(self.compute_action(features), None)
        return carry, choose(key, self.compute_log_probs(features))

    def compute_action(self, features: jax.Array) -> jax.Array:
        """Computes the real action [...] from features [..., W]."""
        return (features @ self.policy_weights + self.policy_bias)[..., 0]

    def compute_log_probs(self, features: jax.Array) -> jax.Array:
        """Computes the log-probabilities [..., K] of the actions from features [..., W]."""
        return jax.nn.log_softmax(features @ self.policy_weights + self.policy_bias)

    def estimate_return(self, features: jax.Array) -> jax.Array:
        """Computes the critic's estimate [...] of the discounted return from features [..., W], for training only."""
        return features @ self.value_weights + self.value_bias

    def read_taps(self, carry: Any) -> dict[str, jax.Array]:
        """Returns the memory's named activations [N, U]."""
        return self.memory.read_taps(carry)

    def make_untrained_twin(self, seed: int) -> "Recurrent":
        """Makes an untrained network of the same shape."""
        kind = next(k for k, factory in MEMORIES.items() if factory is type(self.memory))

        def make_twin(observation: int) -> Recurrent:
            sizes = (self.choices, observation, self.horizon)
            key, layout = jax.random.key(seed), self.memory.layer_settings
            return create_network(key, kind, len(self.policy_weights), self.observes, sizes, layer_settings=layout)

        trained, fresh = (jax.tree.leaves(eqx.filter(n, eqx.is_array)) for n in (self, make_twin(0)))
        return make_twin(max(len(a) - len(b) if a.ndim else 0 for a, b in zip(trained, fresh, strict=True)))


def create_network(
    key: jax.Array,
    memory: str,
    width: int,
    observes: tuple[str, ...],
    sizes: tuple[int | None, int, int],
    *,
    layer_settings: Mapping[str, int] | None = None,
) -> Recurrent:
    """Makes an untrained network.

    Args:
        key: the random key with which the weights are drawn.
        memory: the kind of memory, a key of MEMORIES: none, gru, lstm, transformer, linear_attention (a transformer
            without softmax) or lru (linear recurrent units).
        width: W, the number of units.
        observes: the parts of the percept that the network observes, all of them in PERCEPT_PARTS.
        sizes: the number of choices K (None for real actions), the observation's width D and the horizon T.
        layer_settings: the number of layers ('depth') and of attention heads ('heads'), only for memories with
            attention; by default those of the memory.
    """
    require_known_name("memory", memory, MEMORIES)
    check_range(1, MAX_WIDTH, width=width)
    layer_settings = dict(layer_settings or {})
    if layer_settings and memory not in MEMORIES_WITH_LAYERS:
        problem = f"The memory {memory} has neither depth nor heads."
        raise MesascopeError(problem, f"Omit them, or take {' or '.join(MEMORIES_WITH_LAYERS)}.")
    depth, heads = layer_settings.get("depth", 1), layer_settings.get("heads", 1)
    check_range(1, MAX_DEPTH, depth=depth)
    check_range(1, width, heads=heads)
    if width % heads:
        raise MesascopeError(f"width={width} is not a multiple of heads={heads}.", "Give a multiple.")
    for part in observes:
        require_known_name("part of the percept", part, PERCEPT_PARTS)
    if not observes or len(set(observes)) != len(observes):
        raise MesascopeError("observes is empty, or names a part twice.", f"Type {'+'.join(PERCEPT_PARTS)}.")
    choices, observation, horizon = sizes
    outputs = 1 if choices is None else choices
    features = sum({"action": outputs, "observation": observation}.get(part, 1) for part in observes)
    core = MEMORIES[memory](derive_key(key, "memory"), features, width, horizon, **layer_settings)
    policy = 0.01 * draw_weights(derive_key(key, "policy"), (width, outputs))
    actor = {"policy_weights": policy, "policy_bias": jnp.zeros(outputs)}
    critic = {"value_weights": jnp.zeros(width), "value_bias": jnp.zeros(())}
    shape = {"observes": tuple(observes), "choices": choices, "horizon": horizon}
    return Recurrent(name="untrained", trained_on="unknown", memory=core, **actor, **critic, **shape)


def create_network_for_family(
    key: jax.Array,
    family: Family,
    memory: str,
    width: int,
    observes: str,
    *,
    layer_settings: Mapping[str, int] | None = None,
) -> Recurrent:
    """Makes an untrained network for a family; `observes` lists parts of the percept, joined by '+'."""
    sizes = (family.choices, get_observation_width(family), family.horizon * family.steps)
    return create_network(key, memory, width, tuple(observes.split("+")), sizes, layer_settings=layer_settings)


def get_observation_width(family: Family) -> int:
    """Returns the width D of a family's observations."""
    return family.observation_shape[-1]


def subject(family: Family, path: str = "") -> Recurrent:
    """One of our trained networks, read from its .safetensors file.

    Args:
        family: the family that the network runs on; it must have as many choices as the network.
        path: the path of the file, or the name of a network that ships with mesascope.
    """
    file = FILE_FORMAT.find_file(path)
    metadata = read_metadata(file)
    network = _load_network(file, metadata, f"recurrent:path={path}")
    if network.choices != family.choices:
        actions = _describe_actions(network.choices)
        problem = f"{str(path)!r} {actions}, but {family.name} has {family.choices or 'real'} actions."
        other_family = f"a family with {network.choices or 'real'} actions"
        raise MesascopeError(problem, f"Run it on its own family, {metadata['family']}, or on {other_family}.")
    width = get_observation_width(family)
    if "observation" in network.observes and width != metadata["observation"]:
        problem = f"{str(path)!r} observes {metadata['observation']} numbers, but {family.name} shows {width}."
        raise MesascopeError(problem, f"Run it on its own family, {metadata['family']}.")
    return eqx.tree_at(lambda n: n.trained_on, network, _get_trained_on(family, metadata))


def _load_network(path: str | os.PathLike, metadata: dict[str, Any], name: str) -> Recurrent:
    """Reads the network in a file and checks every tensor."""
    sizes = (metadata["choices"], metadata["observation"], metadata["horizon"])
    try:
        settings = metadata["memory"], metadata["width"], tuple(metadata["observes"])
        layout = {k: metadata[k] for k in ("depth", "heads") if k in metadata}
        template = eqx.filter_eval_shape(create_network, jax.random.key(0), *settings, sizes, layer_settings=layout)
    except MesascopeError as error:
        raise FILE_FORMAT.make_error(path, error.problem.rstrip(".")) from None
    network = FILE_FORMAT.load_weights(path, template)
    return eqx.tree_at(lambda n: (n.name, n.trained_on), network, (name, metadata["trained_on"]))


def _get_trained_on(family: Family, metadata: dict[str, Any]) -> str:
    """Returns what the network was trained on; 'unknown' if it was trained on a bank of another family."""
    bank = metadata["trained_on"]
    if bank.startswith("bank:") and family.with_bank(bank).name != metadata["family"]:
        return "unknown"
    return bank


def _describe_actions(choices: int | None) -> str:
    return "takes real actions" if choices is None else f"chooses between {choices} actions"
