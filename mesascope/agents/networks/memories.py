"""Memories of our recurrent networks: none, a GRU or an LSTM.

The module `sequences` defines the other memories: attention and linear recurrences, which have no gates. In shapes, N
is the number of lifetimes, T of steps, F of inputs, W of features (the width), and U of activations in a tap.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.keys import derive_key


class Memory(eqx.Module):
    """Maps encoded percepts [N, F] to features [N, W] with the help of a carry.

    Subclasses are final, and `recurrent.MEMORIES` lists them. Each is made from a random key, F, W and the horizon T.
    """

    @property
    def layer_settings(self) -> dict[str, int]:
        """The number of layers ('depth') and of attention heads ('heads'); empty if the memory lacks these settings."""
        return {}

    @abc.abstractmethod
    def initialize_carry(self, n: int) -> Any:
        """Makes the carry at the start of a lifetime, a pytree of zeros whose leaves have leading axis n."""

    @abc.abstractmethod
    def step(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        """Processes one percept x [N, F]; returns the next carry and the features [N, W]."""

    def unroll(self, xs: jax.Array) -> jax.Array:
        """Computes the features [T, N, W] of whole lifetimes xs [T, N, F], equal to the features from `step`.

        For gradients, only the carries are stored and the rest is computed again, which halves the running time.
        """
        step = jax.checkpoint(lambda carry, x: self.step(carry, x), prevent_cse=False)
        return jax.lax.scan(step, self.initialize_carry(xs.shape[1]), xs)[1]

    def read_taps(self, carry: Any) -> dict[str, jax.Array]:
        """Returns named activations [N, U] in a carry; empty if there is no carry."""
        return {}


class NoMemory(Memory):
    """A hidden layer without a carry, so that the features depend on the present percept alone."""

    weight: jax.Array
    bias: jax.Array

    def __init__(self, key: jax.Array, n_features: int, width: int, horizon: int):
        self.weight = draw_weights(key, (n_features, width))
        self.bias = jnp.zeros(width)

    def initialize_carry(self, n: int) -> jax.Array:
        """Makes an empty carry [n, 0]."""
        return jnp.zeros((n, 0))

    def step(self, carry, x):
        """Returns the carry unchanged, and the hidden layer as features."""
        return carry, jnp.tanh(x @ self.weight + self.bias)

    def unroll(self, xs):
        """Processes all percepts at once."""
        return jnp.tanh(xs @ self.weight + self.bias)


class GRU(Memory):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078) whose reset gate acts after the matrix product."""

    input_weights: jax.Array  # [F, 3W]: reset, update, candidate
    recurrent_weights: jax.Array  # [W, 3W]
    bias: jax.Array  # [3W]
    candidate_bias: jax.Array  # [W] a bias that is added to the candidate before the reset gate multiplies it

    def __init__(self, key: jax.Array, n_features: int, width: int, horizon: int):
        self.input_weights = draw_weights(derive_key(key, "inputs"), (n_features, 3 * width))
        self.recurrent_weights = _draw_orthogonal(derive_key(key, "recurrent"), width, 3)
        self.bias = jnp.zeros(3 * width)
        self.candidate_bias = jnp.zeros(width)

    def initialize_carry(self, n: int) -> jax.Array:
        """Makes a state of zeros [n, W]."""
        return jnp.zeros((n, len(self.candidate_bias)))

    def step(self, carry, x):
        """Returns the next state, both as the carry and as features."""
        r, z, new = jnp.split(x @ self.input_weights + self.bias, 3, -1)
        hr, hz, hn = jnp.split(carry @ self.recurrent_weights, 3, -1)
        z = jax.nn.sigmoid(z + hz)
        candidate = jnp.tanh(new + jax.nn.sigmoid(r + hr) * (hn + self.candidate_bias))
        h = candidate + z * (carry - candidate)
        return h, h

    def read_taps(self, carry):
        """Returns the state under the name 'core.h'."""
        return {"core.h": carry}


class LSTM(Memory):
    """Long short-term memory with forget gates (Gers et al. 2000), whose forget bias is initially 1."""

    input_weights: jax.Array  # [F, 4W]: input, forget, output, candidate
    recurrent_weights: jax.Array  # [W, 4W]
    bias: jax.Array  # [4W]

    def __init__(self, key: jax.Array, n_features: int, width: int, horizon: int):
        self.input_weights = draw_weights(derive_key(key, "inputs"), (n_features, 4 * width))
        self.recurrent_weights = _draw_orthogonal(derive_key(key, "recurrent"), width, 4)
        self.bias = jnp.zeros(4 * width).at[width : 2 * width].set(1.0)

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Makes zeros for the output h and the cell c, each [n, W]."""
        return jnp.zeros((n, len(self.recurrent_weights))), jnp.zeros((n, len(self.recurrent_weights)))

    def step(self, carry, x):
        """Returns the next carry (h, c), and the output h as features."""
        i, f, o, g = jnp.split(x @ self.input_weights + carry[0] @ self.recurrent_weights + self.bias, 4, -1)
        c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def read_taps(self, carry):
        """Returns the output under the name 'core.h', and the cell under the name 'core.c'."""
        return {"core.h": carry[0], "core.c": carry[1]}


def draw_weights(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Draws normal weights with variance 1 divided by the number of inputs."""
    return jax.random.normal(key, shape) / np.sqrt(max(shape[0], 1))


def _draw_orthogonal(key: jax.Array, width: int, n_gates: int) -> jax.Array:  # [W, n_gates · W]
    return jnp.concatenate([jax.random.orthogonal(derive_key(key, i), width) for i in range(n_gates)], axis=1)
