"""Memories without gates: causal transformers over percepts, and a diagonal linear recurrence.

Each memory is a stack of residual layers, which processes whole lifetimes at once in training, and step by step in a
rollout. In shapes, N is the number of lifetimes, T of percepts, F of inputs, W of features (width), and L of layers.
"""

import abc
import functools
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from mesascope.agents.networks.memories import Memory, draw_weights
from mesascope.keys import derive_key

N_LAYERS = 2  # the default number of layers
MAX_WINDOW = 512  # the longest window of a transformer, in percepts
MASKED_LOGIT = -1e9  # the attention logit of percepts outside the window


class TransformerCarry(NamedTuple):
    """The carry of a transformer, with one slot for each percept in the window.

    Attributes:
        keys: [N, L, window, W] the keys of the last percepts in each layer.
        values: [N, L, window, W] the values of the last percepts in each layer.
        n_percepts: [N] the number of percepts so far.
    """

    keys: jax.Array
    values: jax.Array
    n_percepts: jax.Array


class AttentionLayer(eqx.Module):
    """Causal attention with a bias for each distance, then two dense layers; a layer norm precedes each of the two."""

    attention_weights: jax.Array  # [W, 3W]: query, key, value
    output_weights: jax.Array  # [W, W]
    distance_bias: jax.Array  # [heads, window] a bias of the logit for each distance; no bias if the window is 0
    up_weights: jax.Array  # [W, 2W]
    up_bias: jax.Array  # [2W]
    down_weights: jax.Array  # [2W, W]

    def __init__(self, key: jax.Array, width: int, window: int, heads: int, depth: int):
        self.attention_weights = draw_weights(derive_key(key, "mixing"), (width, 3 * width))
        self.output_weights = draw_weights(derive_key(key, "joining"), (width, width)) / depth
        self.distance_bias = jnp.zeros((heads, window))
        self.up_weights = draw_weights(derive_key(key, "up"), (width, 2 * width))
        self.up_bias = jnp.zeros(2 * width)
        self.down_weights = draw_weights(derive_key(key, "down"), (2 * width, width)) / depth

    def project(self, h: jax.Array) -> list[jax.Array]:
        """Computes query, key and value, each [..., W], from h [..., W]."""
        return jnp.split(normalise_rows(h) @ self.attention_weights, 3, -1)

    def split_heads(self, x: jax.Array) -> jax.Array:
        """Splits x [..., W] into heads [..., heads, W / heads]."""
        return x.reshape(*x.shape[:-1], len(self.distance_bias), -1)

    def apply_dense_layers(self, h: jax.Array, attention_output: jax.Array) -> jax.Array:
        """Adds the attention's output [..., heads, W / heads] to h [..., W], then applies the dense layers."""
        h = h + attention_output.reshape(h.shape) @ self.output_weights
        return h + jax.nn.gelu(normalise_rows(h) @ self.up_weights + self.up_bias) @ self.down_weights


class AttentionMemory(Memory):
    """The common base of both memories with attention; subclasses are final.

    Attributes:
        max_window: the maximum number of past percepts for which there are separate biases by distance.
        embedding: [F, W] the weights that embed a percept.
        embedding_bias: [W] the bias of the embedding.
        layers: the layers in their order.
    """

    max_window: ClassVar[int]
    embedding: jax.Array
    embedding_bias: jax.Array
    layers: list[AttentionLayer]

    def __init__(self, key: jax.Array, n_features: int, width: int, horizon: int, depth: int = N_LAYERS, *, heads=0):
        self.embedding = draw_weights(derive_key(key, "entry"), (n_features, width))
        self.embedding_bias = jnp.zeros(width)
        heads = heads or max(h for h in (1, 2, 4) if width % h == 0)
        sizes = width, min(horizon, self.max_window), heads, depth
        self.layers = [AttentionLayer(derive_key(key, "layer", i), *sizes) for i in range(depth)]

    @abc.abstractmethod
    def compute_attention_weights(self, layer: AttentionLayer, logits: jax.Array) -> jax.Array:
        """Computes the weights [N, heads, T, T] of attention from each percept to each percept (last axis).

        The logits, of the same shape, are products of query and key.
        """

    def unroll(self, xs):
        """Processes all percepts at once."""
        h = xs @ self.embedding + self.embedding_bias
        for layer in self.layers:
            query, key, value = (layer.split_heads(part) for part in layer.project(h))
            logits = jnp.einsum("tnhd,unhd->nhtu", query, key) / jnp.sqrt(query.shape[-1])
            h = layer.apply_dense_layers(
                h, jnp.einsum("nhtu,unhd->tnhd", self.compute_attention_weights(layer, logits), value)
            )
        return normalise_rows(h)

    @property
    def layer_settings(self) -> dict[str, int]:
        """The number of layers ('depth'), and the number of heads in each layer ('heads')."""
        return {"depth": len(self.layers), "heads": len(self.layers[0].distance_bias)}


class Transformer(AttentionMemory):
    """A causal transformer (Vaswani et al. 2017, arXiv 1706.03762) that attends to the last `window` percepts.

    Instead of a position encoding, the transformer has a bias for each distance (Raffel et al. 2020, arXiv 1910.10683).
    The window is the training horizon, but at most 512 percepts. So it contains all percepts of a training lifetime
    that has at most 512 of them.
    """

    max_window: ClassVar[int] = MAX_WINDOW

    @property
    def window(self) -> int:
        """The number of percepts that the transformer attends to, including the present one."""
        return self.layers[0].distance_bias.shape[1]

    def initialize_carry(self, n: int) -> TransformerCarry:
        """Makes slots of zeros, with 0 past percepts."""
        empty = jnp.zeros((n, len(self.layers), self.window, self.embedding.shape[1]))
        return TransformerCarry(empty, empty, jnp.zeros(n, jnp.int32))

    def step(self, carry: TransformerCarry, x):
        """Overwrites the oldest keys and values with those of the present percept, then attends to all valid slots."""
        rows, slot = jnp.arange(len(x)), carry.n_percepts % self.window
        steps_ago = (slot[:, None] - jnp.arange(self.window)) % self.window  # [N, window]
        in_window = (steps_ago <= carry.n_percepts[:, None])[:, None]
        keys, values = carry.keys, carry.values
        h = x @ self.embedding + self.embedding_bias
        for i, layer in enumerate(self.layers):
            query, key, value = layer.project(h)
            keys, values = keys.at[rows, i, slot].set(key), values.at[rows, i, slot].set(value)
            query, stored_keys, stored_values = (
                layer.split_heads(query),
                layer.split_heads(keys[:, i]),
                layer.split_heads(values[:, i]),
            )
            logits = jnp.einsum("nhd,nwhd->nhw", query, stored_keys) / jnp.sqrt(query.shape[-1])
            logits = jnp.where(in_window, logits + jnp.moveaxis(layer.distance_bias[:, steps_ago], 0, 1), MASKED_LOGIT)
            h = layer.apply_dense_layers(h, jnp.einsum("nhw,nwhd->nhd", jax.nn.softmax(logits), stored_values))
        return TransformerCarry(keys, values, carry.n_percepts + 1), normalise_rows(h)

    def compute_attention_weights(self, layer, logits):
        """Applies a softmax over the percepts in the window, after adding the bias for each distance."""
        times = jnp.arange(logits.shape[-1])
        steps_ago = times[:, None] - times  # [T, T]
        logits = logits + layer.distance_bias[:, jnp.clip(steps_ago, 0, self.window - 1)]
        return jax.nn.softmax(jnp.where((steps_ago >= 0) & (steps_ago < self.window), logits, MASKED_LOGIT))

    def read_taps(self, carry: TransformerCarry):
        """Returns the newest key and value of each layer, under the names 'core.key0', 'core.value0' and so on."""
        rows, slot = jnp.arange(len(carry.n_percepts)), (carry.n_percepts - 1) % self.window
        entries = {"key": carry.keys[rows, :, slot], "value": carry.values[rows, :, slot]}
        return {f"core.{name}{i}": x[:, i] for i in range(len(self.layers)) for name, x in entries.items()}


class LinearAttentionCarry(NamedTuple):
    """The carry of linear attention.

    Attributes:
        sums: [N, L, heads, W / heads, W / heads] the sums, over all percepts so far, of keys times values.
        n_percepts: [N] the number of percepts so far.
    """

    sums: jax.Array
    n_percepts: jax.Array


class LinearAttention(AttentionMemory):
    """A transformer whose attention has no softmax (von Oswald et al. 2023, arXiv 2212.07677).

    Its output is the mean of the values, weighted by query times key. Because its carry consists of sums, all past
    percepts have equal influence, and their order has none.
    """

    max_window: ClassVar[int] = 0  # no biases by distance

    def initialize_carry(self, n: int) -> LinearAttentionCarry:
        """Makes sums of 0, with 0 past percepts."""
        width, layout = self.embedding.shape[1], self.layer_settings
        size = width // layout["heads"]
        sums = jnp.zeros((n, layout["depth"], layout["heads"], size, size))
        return LinearAttentionCarry(sums, jnp.zeros(n, jnp.int32))

    def step(self, carry: LinearAttentionCarry, x):
        """Adds key times value of the present percept to the sums, then computes the attention from the sums."""
        sums, n_percepts = carry.sums, carry.n_percepts + 1
        h = x @ self.embedding + self.embedding_bias
        for i, layer in enumerate(self.layers):
            query, key, value = (layer.split_heads(part) for part in layer.project(h))
            new_sums = sums[:, i] + key[..., :, None] * value[..., None, :]
            sums = sums.at[:, i].set(new_sums)
            attended = jnp.einsum("nhd,nhde->nhe", query, new_sums) / jnp.sqrt(query.shape[-1])
            h = layer.apply_dense_layers(h, attended / n_percepts[:, None, None])
        return LinearAttentionCarry(sums, n_percepts), normalise_rows(h)

    def compute_attention_weights(self, layer, logits):
        """Divides the logits by the number of percepts so far, without a softmax; later percepts get 0."""
        count = logits.shape[-1]
        return logits * (jnp.tril(jnp.ones((count, count))) / jnp.arange(1, count + 1)[:, None])

    def read_taps(self, carry: LinearAttentionCarry):
        """Returns the sums of each layer, under the names 'core.sums0' and so on."""
        flat = carry.sums.reshape(*carry.sums.shape[:2], -1)
        return {f"core.sums{i}": flat[:, i] for i in range(len(self.layers))}


class RecurrentLayer(eqx.Module):
    """A complex diagonal linear recurrence, followed by a gated dense layer."""

    log_rate: jax.Array  # [W] log of -log |λ|
    log_angle: jax.Array  # [W] log of the angle of λ
    inward_weights: jax.Array  # [W, 2W] the weights from the input to the real and imaginary parts of the state
    outward_weights: jax.Array  # [2W, W]
    skip_weights: jax.Array  # [W] the weight of the layer's input in the layer's output
    gate_weights: jax.Array  # [W, 2W]
    gate_bias: jax.Array  # [2W]

    def __init__(self, key: jax.Array, width: int, horizon: int):
        slowest_rate = 1.0 / max(horizon, 2)  # the state of the slowest unit decays to 1 / e in a lifetime
        uniform_draws = jax.random.uniform(derive_key(key, "rate"), (width,))
        self.log_rate = jnp.log(slowest_rate) * uniform_draws + jnp.log(0.7) * (1.0 - uniform_draws)
        self.log_angle = jnp.log(jnp.pi / 10 * jax.random.uniform(derive_key(key, "turn"), (width,), minval=1e-3))
        self.inward_weights = draw_weights(derive_key(key, "inward"), (width, 2 * width))
        self.outward_weights = draw_weights(derive_key(key, "outward"), (2 * width, width))
        self.skip_weights = jnp.ones(width)
        self.gate_weights = draw_weights(derive_key(key, "gate"), (width, 2 * width))
        self.gate_bias = jnp.zeros(2 * width)

    def compute_eigenvalues(self) -> tuple[jax.Array, jax.Array]:
        """Computes the real and imaginary parts of λ, each [W]; |λ| is below 1 whatever the weights are."""
        size, angle = jnp.exp(-jnp.exp(self.log_rate)), jnp.exp(self.log_angle)
        return size * jnp.cos(angle), size * jnp.sin(angle)

    def project_input(self, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Computes the state's input, real and imaginary parts [..., W], scaled so that the state keeps its size."""
        norm = jnp.sqrt(-jnp.expm1(-2.0 * jnp.exp(self.log_rate)))
        real, imaginary = jnp.split(normalise_rows(h) @ self.inward_weights, 2, -1)
        return norm * real, norm * imaginary

    def compute_output(self, h: jax.Array, real_part: jax.Array, imaginary_part: jax.Array) -> jax.Array:
        """Computes the layer's output [..., W] from its input and its state."""
        output = jnp.concatenate(
            [real_part, imaginary_part], -1
        ) @ self.outward_weights + self.skip_weights * normalise_rows(h)
        value, gate = jnp.split(jax.nn.gelu(output) @ self.gate_weights + self.gate_bias, 2, -1)
        return h + value * jax.nn.sigmoid(gate)


class LRU(Memory):
    """Linear recurrent units (Orvieto et al. 2023, arXiv 2303.06349), each with its own recurrence h ← λ h + input.

    The state is complex and is stored as pairs of real numbers. Only the layers between the recurrences are nonlinear.
    """

    embedding: jax.Array  # [F, W]
    embedding_bias: jax.Array  # [W]
    layers: list[RecurrentLayer]

    def __init__(self, key: jax.Array, n_features: int, width: int, horizon: int):
        self.embedding = draw_weights(derive_key(key, "entry"), (n_features, width))
        self.embedding_bias = draw_weights(derive_key(key, "bias"), (1, width))[0]
        self.layers = [RecurrentLayer(derive_key(key, "layer", i), width, horizon) for i in range(N_LAYERS)]

    def embed(self, x: jax.Array) -> jax.Array:
        """Embeds percepts [..., F]; this nonlinear layer can multiply action and feedback, as counting wins needs."""
        return jax.nn.gelu(x @ self.embedding + self.embedding_bias)

    def initialize_carry(self, n: int) -> jax.Array:
        """Makes a state of zeros [n, L, 2, W], with the real and the imaginary parts for each layer."""
        return jnp.zeros((n, N_LAYERS, 2, len(self.embedding_bias)))

    def step(self, carry, x):
        """Processes one percept in all layers."""
        h, states = self.embed(x), []
        for i, layer in enumerate(self.layers):
            state = _update_linear_state(
                layer.compute_eigenvalues(), (carry[:, i, 0], carry[:, i, 1]), layer.project_input(h)
            )
            h = layer.compute_output(h, *state)
            states.append(jnp.stack(state, 1))
        return jnp.stack(states, 1), normalise_rows(h)

    def unroll(self, xs):
        """Processes whole lifetimes layer by layer; only the recurrence itself is sequential."""
        h = self.embed(xs)
        for layer in self.layers:
            update = functools.partial(_update_linear_state, layer.compute_eigenvalues())
            zero = jnp.zeros(h.shape[1:])
            states = jax.lax.scan(functools.partial(_scan_step, update), (zero, zero), layer.project_input(h))[1]
            h = layer.compute_output(h, *states)
        return normalise_rows(h)

    def read_taps(self, carry):
        """Returns the state [N, 2W] of each layer, real parts first, under the names 'core.h0' and so on."""
        return {f"core.h{i}": carry[:, i].reshape(len(carry), -1) for i in range(N_LAYERS)}


def normalise_rows(x: jax.Array) -> jax.Array:
    """Normalises each row to mean 0 and variance 1 (layer norm without weights)."""
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6)


def _update_linear_state(eigenvalues, state, inputs):
    """Computes λ h + input from real and imaginary parts."""
    (a, b), (real, imaginary), (x, y) = eigenvalues, state, inputs
    return a * real - b * imaginary + x, a * imaginary + b * real + y


def _scan_step(update, state, inputs):
    """Computes one step of a scan whose output at each step is the state."""
    next_state = update(state, inputs)
    return next_state, next_state
