"""A deep Q-network on stacked frames (Mnih et al. 2015), its weights read from one .safetensors file.

What it carries from one step to the next is the last frames and nothing else, so conditions on the carry disturb just
them. A file holds the weights and, in its header, one JSON text under the key 'mesascope'. Nothing in it is run.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.network_files import OurFiles
from mesascope.contracts.capabilities import ShowsFrames
from mesascope.contracts.scripted import Family, Percept, Response, choose
from mesascope.contracts.settings import check_range
from mesascope.contracts.subject import NamedSubject
from mesascope.errors import MesascopeError
from mesascope.keys import address

FORMAT = "mesascope-q-network/1"
Shapes = tuple[tuple[int, int, int], ...]
LAYERS: Shapes = ((8, 4, 16), (3, 1, 32))  # kernel, stride, channels
MOST = 4096
FIELD, SPREAD = 87.0, 64.0  # brightness of an empty field, and what brightness differs by
STACK = 4  # frames, the present one among them


class Sizes(NamedTuple):
    """height and width of a frame in pixels; stack, frames seen at once; hidden units; choices K."""

    height: int
    width: int
    stack: int
    hidden: int
    choices: int


def _layer(told: Any) -> bool:
    return isinstance(told, list) and len(told) == 3 and all(type(x) is int and 1 <= x <= MOST for x in told)


def _odd(told: Mapping[str, Any]) -> str:
    """What is wrong with the layers that a header lists."""
    layers = told.get("layers")
    if not (isinstance(layers, list) and 1 <= len(layers) <= 8 and all(_layer(x) for x in layers)):
        return "its metadata does not list its layers"
    high, wide = told["height"], told["width"]
    for size, stride, _ in layers:
        high, wide = (high - size) // stride + 1, (wide - size) // stride + 1
        if min(high, wide) < 1:
            return "its layers do not fit its frames"
    return ""


OURS = OurFiles(FORMAT, "Q-network of ours", {k: (1, MOST) for k in Sizes._fields}, _odd)
opens, bundled, family_of, about = OURS.opens, OURS.bundled, OURS.family_of, OURS.about


class Weights(NamedTuple):
    """kernels [k, k, C, O] and biases [O] by layer; then the weights and biases of two dense layers."""

    kernels: tuple[jax.Array, ...]
    biases: tuple[jax.Array, ...]
    hidden: jax.Array
    hidden_bias: jax.Array
    value: jax.Array
    value_bias: jax.Array


def create(key: jax.Array, sizes: Sizes, layers: Shapes = LAYERS) -> Weights:
    """Untrained weights (He et al. 2015); those of the last layer are a hundredth, so that values start near 0."""
    high, wide, deep, kernels = sizes.height, sizes.width, sizes.stack, []
    for i, (size, stride, channels) in enumerate(layers):
        shape = (size, size, deep, channels)
        kernels.append(_scaled(address(key, "kernel", i), shape, size * size * deep))
        high, wide, deep = (high - size) // stride + 1, (wide - size) // stride + 1, channels
    flat = high * wide * deep
    return Weights(
        tuple(kernels),
        tuple(jnp.zeros(channels) for _, _, channels in layers),
        _scaled(address(key, "hidden"), (flat, sizes.hidden), flat),
        jnp.zeros(sizes.hidden),
        0.01 * _scaled(address(key, "value"), (sizes.hidden, sizes.choices), sizes.hidden),
        jnp.zeros(sizes.choices),
    )


def _scaled(key: jax.Array, shape: tuple[int, ...], inputs: int) -> jax.Array:
    return jax.random.normal(key, shape) * (2.0 / inputs) ** 0.5


def values(weights: Weights, frames: jax.Array, strides: tuple[int, ...]) -> jax.Array:
    """The value [N, K] of every action from frames [N, H, W, stack] of bytes."""
    x = (frames.astype(jnp.float32) - FIELD) / SPREAD  # else most units of the first layer never wake up
    for kernel, bias, stride in zip(weights.kernels, weights.biases, strides, strict=True):
        x = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + bias)
    x = jax.nn.relu(x.reshape(len(x), -1) @ weights.hidden + weights.hidden_bias)
    return x @ weights.value + weights.value_bias


class QNetwork(NamedSubject):
    """A trained Q-network with its weights frozen; it takes the best action but for a part ε of the steps."""

    weights: Weights
    epsilon: jax.Array  # []
    strides: tuple[int, ...] = eqx.field(static=True)
    sizes: Sizes = eqx.field(static=True)

    def fresh(self, n: int) -> jax.Array:
        """The frames before the first: black, [N, stack - 1, H W]."""
        return jnp.zeros((n, self.sizes.stack - 1, self.sizes.height * self.sizes.width), jnp.uint8)

    def respond(self, key: jax.Array, carry: jax.Array, percept: Percept) -> tuple[Any, Response]:
        """Puts the frame that it sees behind those that it carries, and acts on all of them."""
        after = self.absorb(key, carry, percept)
        frames = jnp.concatenate([carry[:, :1], after], 1)
        best = jnp.argmax(self.worth(frames), -1)
        likely = jax.nn.one_hot(best, self.sizes.choices) * (1.0 - self.epsilon)
        chances = likely + self.epsilon / self.sizes.choices
        return after, choose(key, jnp.log(chances))

    def absorb(self, key: jax.Array, carry: jax.Array, percept: Percept) -> jax.Array:
        """Puts the frame that it sees behind those that it carries."""
        seen = jnp.asarray(percept.observation)[:, : carry.shape[-1]].astype(jnp.uint8)
        return jnp.concatenate([carry[:, 1:], seen[:, None]], 1)

    def worth(self, frames: jax.Array) -> jax.Array:
        """The value [N, K] of every action from frames [N, stack, H W]."""
        n, stack, _ = frames.shape
        shaped = frames.reshape(n, stack, self.sizes.height, self.sizes.width)
        return values(self.weights, jnp.moveaxis(shaped, 1, -1), self.strides)

    def taps(self, carry: jax.Array) -> dict[str, jax.Array]:
        """The frames that it carries, as numbers from 0 to 1."""
        return {"frames": carry.reshape(len(carry), -1) / 255.0}


def subject(family: Family, path: str = "", epsilon: float = 0.01) -> QNetwork:
    """A deep Q-network on stacked frames, read from its .safetensors file.

    Args:
        family: what it is put to; its observations begin with a frame of the network's size.
        path: the file, or the name of a network that ships.
        epsilon: part of the steps at which it acts at random.
    """
    check_range(0, 1, epsilon=epsilon)
    file = OURS.find(path)
    told = about(file)
    sizes = Sizes(*(told[k] for k in Sizes._fields))
    shown = family.frame if isinstance(family, ShowsFrames) else ()
    if tuple(shown) != (sizes.height, sizes.width) or family.choices != sizes.choices:
        raise MesascopeError(
            f"{str(path)!r} looks at frames of {sizes.height} by {sizes.width} and chooses between {sizes.choices} "
            f"actions; {family.name} does not show such frames, or has other actions.",
            f"Put it to its own family, {told['family']}.",
        )
    name = f"q_network:path={path}" + (f",epsilon={epsilon}" if epsilon != 0.01 else "")
    layers = tuple((int(k), int(s), int(c)) for k, s, c in told["layers"])
    empty = jax.eval_shape(lambda: create(jax.random.key(0), sizes, layers))
    weights = OURS.filled(file, empty)
    strides = tuple(s for _, s, _ in layers)
    return QNetwork(name, told["trained_on"], weights, jnp.asarray(epsilon, jnp.float32), strides, sizes)
