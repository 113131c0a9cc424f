"""Predicts the mean outcome of the k inputs seen that are nearest to the coming one (Garg et al. 2022)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Response, Scripted, keep_settings
from mesascope.worlds.regression.regression import TRIED as TRIED
from mesascope.worlds.regression.regression import read_last_pair, require_regression


class Pairs(NamedTuple):
    """The last T pairs, x [N, T, D] and y [N, T], and seen [N], the number of pairs so far."""

    x: jax.Array
    y: jax.Array
    seen: jax.Array


class NearestNeighbours(Scripted):
    """Carries the last T pairs; k is an array."""

    dimension: int
    horizon: int
    neighbours: jax.Array

    def fresh(self, n: int) -> Pairs:
        """Returns a carry without pairs."""
        pairs = (n, self.horizon)
        return Pairs(jnp.zeros((*pairs, self.dimension)), jnp.zeros(pairs), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Pairs, percept: Percept):
        """Stores the last pair in place of the oldest, then averages the nearest; predicts 0 before the first pair."""
        pair, rows = read_last_pair(percept, self.dimension), jnp.arange(len(percept.feedback))
        slot = carry.seen % self.horizon
        x = carry.x.at[rows, slot].set(jnp.where(pair.available[:, None], pair.x, carry.x[rows, slot]))
        y = carry.y.at[rows, slot].set(jnp.where(pair.available, pair.y, carry.y[rows, slot]))
        carry = Pairs(x, y, carry.seen + pair.available)
        filled = jnp.arange(self.horizon) < carry.seen[:, None]
        distance = jnp.where(filled, jnp.square(x - pair.query[:, None]).sum(-1), jnp.inf)
        rank = jnp.argsort(jnp.argsort(distance, -1), -1)
        is_neighbour = filled & (rank < self.neighbours)
        mean = jnp.where(is_neighbour, y, 0.0).sum(-1) / jnp.maximum(is_neighbour.sum(-1), 1)
        return carry, Response(mean, None)


@keep_settings(neighbours=(1, 10_000))
def subject(family: Family, neighbours: int = 3) -> NearestNeighbours:
    """Predicts the mean outcome of the k inputs seen that are nearest to the coming one.

    Args:
        family: the family `linear_regression`.
        neighbours: k, the number of neighbours, at least 1.
    """
    home = require_regression(family)
    return NearestNeighbours(home.dimension, home.horizon, jnp.asarray(neighbours, jnp.int32))
