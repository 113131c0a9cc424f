"""Loads a deep Q-network that sees stacked frames (Mnih et al. 2015) from a .safetensors file.

The carry consists of the last frames, so conditions on the carry disturb only these frames. The file
contains the weights and, in its header, one JSON text under the key 'mesascope'. No code is loaded from the file.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.network_files import NetworkFormat
from mesascope.contracts import Family, NamedSubject, Percept, Response, ShowsFrames, check_range, choose
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

FORMAT = "mesascope-q-network/1"
LayerShapes = tuple[tuple[int, int, int], ...]
LAYERS: LayerShapes = ((8, 4, 16), (3, 1, 32))  # kernel size, stride and channels of each convolution
MAX_SIZE = 4096  # the largest value of each size in a file
FIELD_GREY, GREY_SCALE = 87.0, 64.0  # the brightness of an empty field, and the unit of differences from it
STACK_SIZE = 4  # the number of frames that the network sees at once, including the present one


class Sizes(NamedTuple):
    """The sizes of a network.

    Attributes:
        height: the height of a frame in cells.
        width: the width of a frame in cells.
        stack: the number of frames that the network sees at once.
        hidden: the number of units in the layer before the last.
        choices: K, the number of actions.
    """

    height: int
    width: int
    stack: int
    hidden: int
    choices: int


def _is_layer(value: Any) -> bool:
    """Returns whether a value from a file's header describes a layer: a valid kernel size, stride and channels."""
    return isinstance(value, list) and len(value) == 3 and all(type(x) is int and 1 <= x <= MAX_SIZE for x in value)


def _find_fault(metadata: Mapping[str, Any]) -> str:
    """Describes what is wrong with the layers listed in a file's header; '' if they are valid."""
    layers = metadata.get("layers")
    if not (isinstance(layers, list) and 1 <= len(layers) <= 8 and all(_is_layer(x) for x in layers)):
        return "its metadata does not list one to eight valid layers"
    height, width = metadata["height"], metadata["width"]
    for size, stride, _ in layers:
        height, width = (height - size) // stride + 1, (width - size) // stride + 1
        if min(height, width) < 1:
            return "its layers do not fit its frames"
    return ""


FILE_FORMAT = NetworkFormat(
    FORMAT, "Q-network file of mesascope", {k: (1, MAX_SIZE) for k in Sizes._fields}, _find_fault
)
can_open, read_family = FILE_FORMAT.can_open, FILE_FORMAT.read_family
list_shipped_networks, read_metadata = FILE_FORMAT.list_shipped_networks, FILE_FORMAT.read_metadata


class Weights(NamedTuple):
    """The weights of a Q-network.

    Every convolution has kernels of k × k cells from C to O channels, [k, k, C, O], and biases [O]. Two dense layers,
    with weights and biases, follow."""

    kernels: tuple[jax.Array, ...]
    biases: tuple[jax.Array, ...]
    hidden_weights: jax.Array
    hidden_bias: jax.Array
    value_weights: jax.Array
    value_bias: jax.Array


def create_weights(key: jax.Array, sizes: Sizes, layers: LayerShapes = LAYERS) -> Weights:
    """Draws untrained weights (He et al. 2015); the last layer is divided by 100, so that values start near 0."""
    height, width, depth, kernels = sizes.height, sizes.width, sizes.stack, []
    for i, (size, stride, channels) in enumerate(layers):
        shape = (size, size, depth, channels)
        kernels.append(_draw_weights(derive_key(key, "kernel", i), shape, size * size * depth))
        height, width, depth = (height - size) // stride + 1, (width - size) // stride + 1, channels
    flat = height * width * depth
    return Weights(
        tuple(kernels),
        tuple(jnp.zeros(channels) for _, _, channels in layers),
        _draw_weights(derive_key(key, "hidden"), (flat, sizes.hidden), flat),
        jnp.zeros(sizes.hidden),
        0.01 * _draw_weights(derive_key(key, "value"), (sizes.hidden, sizes.choices), sizes.hidden),
        jnp.zeros(sizes.choices),
    )


def _draw_weights(key: jax.Array, shape: tuple[int, ...], n_inputs: int) -> jax.Array:
    """Draws the weights of a layer in which every unit has this number of inputs."""
    return jax.random.normal(key, shape) * (2.0 / n_inputs) ** 0.5


def compute_values(weights: Weights, frames: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    """Computes the value of every action, [N, K], for frames [N, H, W, stack] as bytes."""
    # without this scaling, the output of most units in the first layer stays at 0
    x = (frames.astype(jnp.float32) - FIELD_GREY) / GREY_SCALE
    for kernel, bias, stride in zip(weights.kernels, weights.biases, strides, strict=True):
        x = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + bias)
    x = jax.nn.relu(x.reshape(len(x), -1) @ weights.hidden_weights + weights.hidden_bias)
    return x @ weights.value_weights + weights.value_bias


class QNetwork(NamedSubject):
    """A trained Q-network with frozen weights that takes the best action, or a random action with probability ε."""

    weights: Weights
    epsilon: jax.Array  # []
    strides: tuple[int, ...] = eqx.field(static=True)
    sizes: Sizes = eqx.field(static=True)

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns black frames [N, stack - 1, H · W]."""
        return jnp.zeros((n, self.sizes.stack - 1, self.sizes.height * self.sizes.width), jnp.uint8)

    def respond(self, key: jax.Array, carry: jax.Array, percept: Percept) -> tuple[Any, Response]:
        """Adds the present frame to the carried frames, and chooses an action from all of them."""
        next_carry = self.update_carry(key, carry, percept)
        frames = jnp.concatenate([carry[:, :1], next_carry], 1)
        best = jnp.argmax(self.compute_action_values(frames), -1)
        greedy = jax.nn.one_hot(best, self.sizes.choices) * (1.0 - self.epsilon)
        probabilities = greedy + self.epsilon / self.sizes.choices
        return next_carry, choose(key, jnp.log(probabilities))

    def update_carry(self, key: jax.Array, carry: jax.Array, percept: Percept) -> jax.Array:
        """Returns the carried frames with the present one added."""
        frame = jnp.asarray(percept.observation)[:, : carry.shape[-1]].astype(jnp.uint8)
        return jnp.concatenate([carry[:, 1:], frame[:, None]], 1)

    def compute_action_values(self, frames: jax.Array) -> jax.Array:
        """Computes the value of every action, [N, K], for frames [N, stack, H · W]."""
        n, stack, _ = frames.shape
        images = frames.reshape(n, stack, self.sizes.height, self.sizes.width)
        return compute_values(self.weights, jnp.moveaxis(images, 1, -1), self.strides)

    def read_taps(self, carry: jax.Array) -> dict[str, jax.Array]:
        """Returns the carried frames, scaled to values between 0 and 1."""
        return {"frames": carry.reshape(len(carry), -1) / 255.0}


def subject(family: Family, path: str = "", epsilon: float = 0.01) -> QNetwork:
    """Loads a deep Q-network that sees stacked frames from its .safetensors file.

    Args:
        family: the family that the network runs on; its observations must begin with a frame of the network's size, and
            it must have as many actions as the network.
        path: the file, or the name of a network that ships with the package.
        epsilon: ε, the fraction of steps with a random action.
    """
    check_range(0, 1, epsilon=epsilon)
    file = FILE_FORMAT.find_file(path)
    metadata = read_metadata(file)
    sizes = Sizes(*(metadata[k] for k in Sizes._fields))
    frame = family.frame_shape if isinstance(family, ShowsFrames) else ()
    if tuple(frame) != (sizes.height, sizes.width) or family.choices != sizes.choices:
        raise MesascopeError(
            f"{str(path)!r} needs frames of {sizes.height} by {sizes.width} cells and {sizes.choices} actions; "
            f"{family.name} has other frames or actions.",
            f"Run it on its own family, {metadata['family']}.",
        )
    name = f"q_network:path={path}" + (f",epsilon={epsilon}" if epsilon != 0.01 else "")
    layers = tuple((int(k), int(s), int(c)) for k, s, c in metadata["layers"])
    template = jax.eval_shape(lambda: create_weights(jax.random.key(0), sizes, layers))
    weights = FILE_FORMAT.load_weights(file, template)
    strides = tuple(s for _, s, _ in layers)
    return QNetwork(name, metadata["trained_on"], weights, jnp.asarray(epsilon, jnp.float32), strides, sizes)
