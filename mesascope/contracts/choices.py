"""Code that scripted bandit subjects share: counts per arm, and choices from values or from the last action."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.percept import Percept
from mesascope.contracts.subject import Choosing

TIES = ("random", "first")


class Counting(Choosing):
    """A subject that carries counts [N, K, 2] of wins and losses."""

    def fresh(self, n: int) -> jax.Array:
        """Counts of 0."""
        return jnp.zeros((n, self.choices, 2))


class StepCounter(Choosing):
    """A subject that carries an integer [N], 0 at birth, such as the number of past trials."""

    def fresh(self, n: int) -> jax.Array:
        """0 for every lifetime."""
        return jnp.zeros(n, jnp.int32)


class ActionValues(Choosing):
    """A subject that carries a number for each choice [N, K], 0 at birth."""

    def fresh(self, n: int) -> jax.Array:
        """0 for every choice."""
        return jnp.zeros((n, self.choices))


class CountsAndTime(NamedTuple):
    """The counts [N, K, 2] of wins and losses, and the number of past trials, `past_trials` [N]."""

    counts: jax.Array
    past_trials: jax.Array


class CountingWithTime(Choosing):
    """A subject that carries counts and the number of past trials."""

    def fresh(self, n: int) -> CountsAndTime:
        """Counts of 0, and 0 past trials."""
        return CountsAndTime(jnp.zeros((n, self.choices, 2)), jnp.zeros(n, jnp.int32))


def count_last_outcome(percept: Percept, choices: int) -> jax.Array:
    """[N, K, 2] The last pull as one win or one loss of its arm; zeros before the first pull."""
    pulled = jax.nn.one_hot(percept.action, choices)  # all zero for action -1
    wins = percept.feedback[:, None]
    return jnp.stack([pulled * wins, pulled * (1.0 - wins)], axis=-1)


def infer_means(counts: jax.Array, a: float | jax.Array = 1.0, b: float | jax.Array = 1.0) -> jax.Array:
    """Posterior means [N, K] under Beta(a, b)."""
    return (counts[..., 0] + a) / (counts.sum(-1) + a + b)


def choose_greedily(values: jax.Array, ties: str = "random") -> jax.Array:
    """Probabilities [N, K] of a greedy choice; arms that tie are equally likely, or the first is chosen."""
    if ties == "first":
        return jax.nn.one_hot(values.argmax(-1), values.shape[-1])
    top = (values >= values.max(-1, keepdims=True) - 1e-6).astype(jnp.float32)
    return top / top.sum(-1, keepdims=True)


def choose_to_stay(action: jax.Array, choices: int, p: jax.Array | float) -> jax.Array:
    """[N, K] The last action has probability p [N], and the others share the rest; uniform before the first action."""
    last = jax.nn.one_hot(action, choices)
    p = jnp.broadcast_to(jnp.asarray(p, jnp.float32), action.shape)[:, None]
    probabilities = p * last + (1.0 - p) * (1.0 - last) / (choices - 1)
    return jnp.where((action < 0)[:, None], 1.0 / choices, probabilities)


def mix_lapse(probabilities: jax.Array, lapse: jax.Array | float) -> jax.Array:
    """Log-probabilities [N, K] if a fraction `lapse` of the choices is drawn uniformly from all arms."""
    return jnp.log((1.0 - lapse) * probabilities + lapse / probabilities.shape[-1])


def check_pull_paid(percept: Percept) -> jax.Array:
    """[N] Whether the last pull paid."""
    return percept.feedback > 0.5
