"""A network on grids of cells that can think before it acts, with weights from one .safetensors file.

In each tick, every cell combines its state with its neighbours' states and with the problem's images ('recall' in
Bansal et al. 2022, arXiv 2202.05826). A recurrent network uses the same weights in every tick, and its carry contains
the cells' states, so it can run for any number of ticks. A feed-forward network has layers with separate weights and an
empty carry. In shapes, N is the number of lifetimes, H and W are the numbers of rows and columns of a grid, C is the
number of channels, P of images, and K of moves.
"""

from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.network_files import NetworkFormat
from mesascope.contracts import Family, NamedSubject, Percept, Response, ShowsGrids, check_range, choose
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

FORMAT = "mesascope-thinking-network/1"
CHECK_FAMILY = "maze:size=5,trials=12,bank=3"
MAX_TICKS = 128  # the maximum number of ticks at one percept
SIZE_RANGES = {"width": (1, 1024), "layers": (0, 1024), "planes": (1, 1024), "choices": (2, 1024)}
FILE_FORMAT = NetworkFormat(FORMAT, "thinking network", SIZE_RANGES)
can_open, read_family = FILE_FORMAT.can_open, FILE_FORMAT.read_family
list_shipped_networks, read_metadata = FILE_FORMAT.list_shipped_networks, FILE_FORMAT.read_metadata


class Weights(NamedTuple):
    """The weights of L layers (one if the network is recurrent) with C channels, P images and K choices.

    Attributes:
        mixing_weights: [L, 5 C + 5 P, 2 C] the weights from a cell and its four neighbours to gates and candidates.
        bias: [L, 2 C] the bias of gates and candidates.
        policy_weights: [C, K] the weights from a cell's state to logits.
        policy_bias: [K] the bias of the logits.
    """

    mixing_weights: jax.Array
    bias: jax.Array
    policy_weights: jax.Array
    policy_bias: jax.Array


def create_network(key: jax.Array, width: int, layers: int, n_images: int, choices: int) -> Weights:
    """Draws untrained weights with C = `width` and P = `n_images`; `layers` is L, or 0 for a recurrent network."""
    n_layers, fan = max(layers, 1), 5 * (width + n_images)
    mixing_weights = jax.random.normal(derive_key(key, "mix"), (n_layers, fan, 2 * width)) / jnp.sqrt(fan)
    bias = jnp.zeros((n_layers, 2 * width))
    policy = 0.1 * jax.random.normal(derive_key(key, "policy"), (width, choices))
    return Weights(mixing_weights, bias, policy, jnp.zeros(choices))


def gather_neighbours(values: jax.Array) -> jax.Array:
    """Joins the values [N, H, W, C] of each cell and its four neighbours to [N, H, W, 5 C]; 0 beyond the edge."""
    padded = jnp.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    parts = (values, padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2])
    return jnp.concatenate(parts, -1)


def run_tick(
    mixing_weights: jax.Array, bias: jax.Array, state: jax.Array, image_input: jax.Array, is_inside: jax.Array
) -> jax.Array:
    """Computes the cells' states [N, H, W, C] one tick later.

    The computation uses shifts and one matrix product, because a convolution inside a differentiated scan is many times
    slower on a CPU.

    Args:
        mixing_weights: [5 C + 5 P, 2 C] the weights of one layer.
        bias: [2 C] the bias of that layer.
        state: [N, H, W, C] the cells' states before the tick, each number between -1 and 1.
        image_input: [N, H, W, 2 C] the contribution of the images, from `project_input`.
        is_inside: [N, H, W, 1] whether a cell belongs to the problem; the state of other cells is 0.
    """
    width = state.shape[-1]
    mixture = gather_neighbours(state) @ mixing_weights[: 5 * width] + image_input + bias
    gate, candidate = jnp.split(mixture, 2, -1)
    return is_inside * (state + jax.nn.sigmoid(gate) * (jnp.tanh(candidate) - state))


def project_input(mixing_weights: jax.Array, images: jax.Array) -> jax.Array:
    """Computes the contribution [N, H, W, 2 C] of the images [N, H, W, P] to every tick."""
    width = mixing_weights.shape[-1] // 2
    return gather_neighbours(images) @ mixing_weights[5 * width :]


def run_ticks(weights: Weights, state: jax.Array, images: jax.Array, ticks: Any) -> jax.Array:
    """Computes the cells' states of a recurrent network after a number of ticks with the same images."""
    image_input, is_inside = project_input(weights.mixing_weights[0], images), images[..., -1:]

    def run_once(_, state):
        return run_tick(weights.mixing_weights[0], weights.bias[0], state, image_input, is_inside)

    return jax.lax.fori_loop(0, ticks, run_once, state)


def run_layers(weights: Weights, images: jax.Array) -> jax.Array:
    """Computes the cells' states [N, H, W, C] of a feed-forward network after its last layer."""
    is_inside = images[..., -1:]

    def run_layer(state, parameters):
        mixing_weights, bias = parameters
        return run_tick(mixing_weights, bias, state, project_input(mixing_weights, images), is_inside), None

    return jax.lax.scan(run_layer, make_zero_state(weights, images), (weights.mixing_weights, weights.bias))[0]


def make_zero_state(weights: Weights, images: jax.Array) -> jax.Array:
    """Makes a state of zeros [N, H, W, C]."""
    return jnp.zeros((*images.shape[:3], len(weights.policy_weights)))


def compute_logits(weights: Weights, state: jax.Array) -> jax.Array:
    """Computes the logits [N, H, W, K] of the moves from every cell, which are the plan for the whole grid."""
    return state @ weights.policy_weights + weights.policy_bias


class ThinkingNetwork(NamedSubject):
    """A trained network on grids of cells, with frozen weights.

    It plans for all cells at once, independently of the agent's position, and follows the plan for the agent's cell.

    Attributes:
        weights: the frozen weights.
        family: the family, which converts observations into images.
        ticks: the number of ticks for every percept, an array without axes.
        is_recurrent: whether the network uses the same weights in every tick; otherwise it is feed-forward.
        side: F, the number of cells on each side of an image.
    """

    weights: Weights
    family: Family
    ticks: jax.Array
    is_recurrent: bool = eqx.field(static=True)
    side: int = eqx.field(static=True)

    def initialize_carry(self, n: int) -> Any:
        """Makes a carry of zeros [N, F, F, C]; an empty carry if the network is feed-forward."""
        return jnp.zeros((n, self.side, self.side, len(self.weights.policy_weights))) if self.is_recurrent else ()

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Thinks about the observation for a number of ticks, then follows the plan for the agent's cell."""
        pictures, cell = self.family.convert_to_images(percept.observation)  # pyright: ignore[reportAttributeAccessIssue]
        carry = run_ticks(self.weights, carry, pictures, self.ticks) if self.is_recurrent else carry
        state = carry if self.is_recurrent else run_layers(self.weights, pictures)
        flat = state.reshape(len(cell), -1, state.shape[-1])[jnp.arange(len(cell)), cell]
        return carry, choose(key, jax.nn.log_softmax(compute_logits(self.weights, flat)))

    def update_carry(self, key: jax.Array, carry: Any, percept: Percept) -> Any:
        """Thinks about the observation without acting."""
        if not self.is_recurrent:
            return carry
        pictures, _ = self.family.convert_to_images(percept.observation)  # pyright: ignore[reportAttributeAccessIssue]
        return run_ticks(self.weights, carry, pictures, self.ticks)

    def read_taps(self, carry: Any) -> dict[str, jax.Array]:
        """Returns the states of all cells under the name 'field'; empty if the network is feed-forward."""
        return {"field": carry.reshape(len(carry), -1)} if self.is_recurrent else {}

    def make_untrained_twin(self, seed: int) -> Self:
        """Makes an untrained network of the same shape."""
        width, choices = self.weights.policy_weights.shape
        planes = self.weights.mixing_weights.shape[1] // 5 - width
        layers = 0 if self.is_recurrent else len(self.weights.mixing_weights)
        twin = create_network(jax.random.key(seed), width, layers, planes, choices)
        return eqx.tree_at(lambda s: s.weights, self, twin)


def subject(family: Family, path: str = "", ticks: int = 1) -> ThinkingNetwork:
    """A network on grids that thinks for some ticks before it acts, read from its .safetensors file.

    Args:
        family: the family that the network runs on, of any size; the observations must be grids (as in maze).
        path: the path of the file, or the name of a network that ships with mesascope.
        ticks: the number of ticks for every percept, to which the condition `thinking` adds more. A feed-forward
            network ignores this number.
    """
    check_range(1, MAX_TICKS, ticks=ticks)
    file = FILE_FORMAT.find_file(path)
    metadata = read_metadata(file)
    side, planes = find_grid_sizes(family)
    if planes != metadata["planes"] or family.choices != metadata["choices"]:
        sizes = f"{metadata['planes']} images and chooses between {metadata['choices']} moves"
        problem = f"{str(path)!r} observes {sizes}, but {family.name} has {planes} images and {family.choices} moves."
        raise MesascopeError(problem, f"Run it on its own family, {metadata['family']}, of any size.")
    template = jax.eval_shape(lambda: create_network(jax.random.key(0), *(metadata[k] for k in SIZE_RANGES)))
    weights = FILE_FORMAT.load_weights(file, template)
    name = f"thinking_network:path={path}" + (f",ticks={ticks}" if ticks != 1 else "")
    home = eqx.tree_at(lambda f: f.name, family.with_bank(None), "")
    recurrent, tick_count = not metadata["layers"], jnp.asarray(ticks, jnp.int32)
    return ThinkingNetwork(name, metadata["trained_on"], weights, home, tick_count, recurrent, side)


def find_grid_sizes(family: Family) -> tuple[int, int]:
    """Finds the number of cells on each side of an image, and the number of images P, in a family's observations.

    Raises:
        MesascopeError: the family's observations are not grids.
    """
    if not isinstance(family, ShowsGrids) or family.choices is None:
        raise MesascopeError(f"{family.name} shows no grids of cells.", "Take a family that does: maze.")
    observation = jax.ShapeDtypeStruct((1, *family.observation_shape), jnp.float32)
    images = jax.eval_shape(lambda x: family.convert_to_images(x)[0], observation)
    return images.shape[1], images.shape[-1]
