"""Predicts the mean outcome of the k past inputs that are nearest to the coming input (Garg et al. 2022)."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, ScriptedSubject, keep_settings
from mesascope.worlds.regression.spectral_filter import read_last_pair, require_regression


class NearestNeighbours(ScriptedSubject):
    """Carries the last T inputs [N, T, D] and outcomes [N, T], and the number [N] of pairs so far."""

    dimension: int
    horizon: int
    neighbours: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns a carry without pairs."""
        pairs = (n, self.horizon)
        return jnp.zeros((*pairs, self.dimension)), jnp.zeros(pairs), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Stores the last pair, then averages the outcomes of the nearest inputs; predicts 0 before the first pair."""
        x, y, count = carry
        last_x, last_y, has_pair, query = read_last_pair(percept, self.dimension)
        rows, slot = jnp.arange(len(last_y)), count % self.horizon
        x = x.at[rows, slot].set(jnp.where(has_pair[:, None], last_x, x[rows, slot]))
        y = y.at[rows, slot].set(jnp.where(has_pair, last_y, y[rows, slot]))
        count = count + has_pair
        is_filled = jnp.arange(self.horizon) < count[:, None]
        distance = jnp.where(is_filled, jnp.square(x - query[:, None]).sum(-1), jnp.inf)
        rank = jnp.argsort(jnp.argsort(distance, -1), -1)
        is_neighbour = is_filled & (rank < self.neighbours)
        mean = jnp.where(is_neighbour, y, 0.0).sum(-1) / jnp.maximum(is_neighbour.sum(-1), 1)
        return (x, y, count), Response(mean, None)


@keep_settings(neighbours=(1, 10_000))
def subject(family: Family, neighbours: int = 3) -> NearestNeighbours:
    """Predicts the mean outcome of the k past inputs that are nearest to the coming input.

    Only the last T inputs count, where T is the family's horizon.

    Args:
        family: the family `linear_regression`.
        neighbours: k, the number of neighbours, at least 1.
    """
    regression = require_regression(family)
    return NearestNeighbours(regression.dimension, regression.horizon, jnp.asarray(neighbours, jnp.int32))
