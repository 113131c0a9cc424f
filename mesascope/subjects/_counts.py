"""Beta counts of the arms: the sufficient statistics that most scripted bandit subjects share."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mesascope.families import Percept


def outcomes(percept: Percept, choices: int) -> jax.Array:
    """[N, K, 2] one where the last pull won or lost, zero elsewhere and before the first pull."""
    pulled = jax.nn.one_hot(percept.action, choices)  # all zero for action -1
    won = percept.feedback[:, None]
    return jnp.stack([pulled * won, pulled * (1.0 - won)], axis=-1)


def means(counts: jax.Array, a: float | jax.Array = 1.0, b: float | jax.Array = 1.0) -> jax.Array:
    """Posterior means [N, K] under Beta(a, b)."""
    return (counts[..., 0] + a) / (counts.sum(-1) + a + b)


def best_of(values: jax.Array, ties: str = "random") -> jax.Array:
    """Probabilities [N, K] of a greedy choice; ties 'random' (shared evenly) or 'first'."""
    if ties == "first":
        return jax.nn.one_hot(values.argmax(-1), values.shape[-1])
    top = (values >= values.max(-1, keepdims=True) - 1e-6).astype(jnp.float32)
    return top / top.sum(-1, keepdims=True)
