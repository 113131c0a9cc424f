"""What a recurrent network of ours carries: nothing, or the state of a GRU or an LSTM.

The carries that are summed over time without gates, and those that are looked back upon, are in `_sequences`.
"""

from __future__ import annotations

import abc
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.keys import address


class Memory(eqx.Module):
    """Takes in encoded percepts [N, F], gives features [N, W]; built from (key, F, W, horizon T).

    Subclasses are final and listed in `recurrent.MEMORIES`.
    """

    @abc.abstractmethod
    def fresh(self, n: int) -> Any:
        """The carry at birth, zeros: a pytree whose leaves have leading axis n."""

    @abc.abstractmethod
    def step(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        """One percept x [N, F]: the next carry and the features [N, W]."""

    @abc.abstractmethod
    def unroll(self, xs: jax.Array) -> jax.Array:
        """Whole lifetimes xs [T, N, F] from birth: the features [T, N, W] that `step` gives one by one."""

    @abc.abstractmethod
    def taps(self, carry: Any) -> dict[str, jax.Array]:
        """Named activations [N, U] in a carry."""


class Nothing(Memory):
    """A hidden layer and no carry: the features depend on the present percept alone."""

    weight: jax.Array
    bias: jax.Array

    def __init__(self, key: jax.Array, features: int, width: int, horizon: int):
        self.weight = scaled(key, (features, width))
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

    def taps(self, carry):
        """None."""
        return {}


class GRU(Memory):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), the reset gate behind the matrix product."""

    inputs: jax.Array  # [F, 3W]: reset, update, candidate
    recurrent: jax.Array  # [W, 3W]
    bias: jax.Array  # [3W]
    inner: jax.Array  # [W] bias of the candidate inside the reset gate

    def __init__(self, key: jax.Array, features: int, width: int, horizon: int):
        self.inputs = scaled(address(key, "inputs"), (features, 3 * width))
        self.recurrent = _orthogonal(address(key, "recurrent"), width, 3)
        self.bias = jnp.zeros(3 * width)
        self.inner = jnp.zeros(width)

    def fresh(self, n: int) -> jax.Array:
        """[n, W]."""
        return jnp.zeros((n, len(self.inner)))

    def step(self, carry, x):
        """The next state is carry and features."""
        h = _gru(self.inner, carry, x @ self.inputs + self.bias, carry @ self.recurrent)
        return h, h

    def unroll(self, xs):
        """The part of the inputs at once, the rest one after the other."""
        return _recur(_gru, self.inner, self.recurrent, self.fresh(xs.shape[1]), xs @ self.inputs + self.bias)

    def taps(self, carry):
        """'core.h'."""
        return {"core.h": carry}


class LSTM(Memory):
    """Long short-term memory with forget gates (Gers et al. 2000), the forget bias starting at 1."""

    inputs: jax.Array  # [F, 4W]: input, forget, output, candidate
    recurrent: jax.Array  # [W, 4W]
    bias: jax.Array  # [4W]

    def __init__(self, key: jax.Array, features: int, width: int, horizon: int):
        self.inputs = scaled(address(key, "inputs"), (features, 4 * width))
        self.recurrent = _orthogonal(address(key, "recurrent"), width, 4)
        self.bias = jnp.zeros(4 * width).at[width : 2 * width].set(1.0)

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Output h and cell c, each [n, W]."""
        return jnp.zeros((n, len(self.recurrent))), jnp.zeros((n, len(self.recurrent)))

    def step(self, carry, x):
        """The features are the output h."""
        carry = _lstm(None, carry, x @ self.inputs + self.bias, carry[0] @ self.recurrent)
        return carry, carry[0]

    def unroll(self, xs):
        """The part of the inputs at once, the rest one after the other."""
        return _recur(_lstm, None, self.recurrent, self.fresh(xs.shape[1]), xs @ self.inputs + self.bias)

    def taps(self, carry):
        """'core.h' and 'core.c'."""
        return {"core.h": carry[0], "core.c": carry[1]}


def scaled(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Normal weights of variance 1 over their inputs."""
    return jax.random.normal(key, shape) / np.sqrt(max(shape[0], 1))


def _orthogonal(key: jax.Array, width: int, gates: int) -> jax.Array:  # [W, gates W]
    return jnp.concatenate([jax.random.orthogonal(address(key, i), width) for i in range(gates)], axis=1)


def _gru(inner, h, x, back):
    """The next state from the state, the inputs' part and the state's part of the gates, each [N, 3W]."""
    r, z, new = jnp.split(x, 3, -1)
    hr, hz, hn = jnp.split(back, 3, -1)
    z = jax.nn.sigmoid(z + hz)
    candidate = jnp.tanh(new + jax.nn.sigmoid(r + hr) * (hn + inner))
    return candidate + z * (h - candidate)


def _lstm(none, carry, x, back):
    """The same for an LSTM, the gates [N, 4W]."""
    i, f, o, g = jnp.split(x + back, 4, -1)
    c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _output(carry):
    """What is fed back: the state, or an LSTM's output."""
    return carry[0] if isinstance(carry, tuple) else carry


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _recur(cell, inner, recurrent, carry, xs):
    """Outputs [T, N, W] of a gated cell from the inputs' part of its gates [T, N, G W].

    Its gradient is written out because the usual one adds up the recurrent weights' part step by step: here
    it is one product over all trials, and the gates are computed again but no matrix product is.
    """
    return _forward(cell, inner, recurrent, carry, xs)[0]


def _forward(cell, inner, recurrent, carry, xs):
    def step(carry, x):
        back = _output(carry) @ recurrent
        after = cell(inner, carry, x, back)
        return after, (_output(after), carry, back)

    outputs, before, backs = jax.lax.scan(step, carry, xs)[1]
    return outputs, (inner, recurrent, before, backs, xs)


def _backward(cell, kept, slopes):
    inner, recurrent, before, backs, xs = kept

    def step(later, now):
        (after, total), (slope, carry, back, x) = later, now
        _, pull = jax.vjp(functools.partial(cell), inner, carry, x, back)
        grown = (after[0] + slope, *after[1:]) if isinstance(after, tuple) else after + slope
        by_inner, by_carry, by_x, by_back = pull(grown)
        more = by_back @ recurrent.T
        by_carry = (by_carry[0] + more, *by_carry[1:]) if isinstance(by_carry, tuple) else by_carry + more
        return (by_carry, jax.tree.map(jnp.add, total, by_inner)), (by_x, by_back)

    zero = jax.tree.map(jnp.zeros_like, (jax.tree.map(lambda x: x[0], before), inner))
    (by_carry, by_inner), (by_xs, by_backs) = jax.lax.scan(
        step, zero, (slopes, before, backs, xs), reverse=True
    )
    by_recurrent = jnp.einsum("tnw,tng->wg", _output(before), by_backs)
    return by_inner, by_recurrent, by_carry, by_xs


_recur.defvjp(_forward, _backward)
