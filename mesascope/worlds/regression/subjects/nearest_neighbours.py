"""Predicts the mean outcome of the k inputs seen that are nearest to the coming one (Garg et al. 2022)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Response, Scripted, keep_settings
from mesascope.worlds.regression.regression import TRIED as TRIED
from mesascope.worlds.regression.regression import last_pair, require_regression


class Held(NamedTuple):
    """The last T pairs: x [N, T, D] and y [N, T] in splits, and how many there were [N]."""

    x: jax.Array
    y: jax.Array
    seen: jax.Array


class NearestNeighbours(Scripted):
    """Holds pairs as they came; k is data."""

    dimension: int
    horizon: int
    neighbours: jax.Array

    def fresh(self, n: int) -> Held:
        """No pairs."""
        pairs = (n, self.horizon)
        return Held(jnp.zeros((*pairs, self.dimension)), jnp.zeros(pairs), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Held, percept: Percept):
        """Writes the last pair over the oldest one, then looks for the nearest; 0 before the first pair."""
        pair, rows = last_pair(percept, self.dimension), jnp.arange(len(percept.feedback))
        slot = carry.seen % self.horizon
        x = carry.x.at[rows, slot].set(jnp.where(pair.there[:, None], pair.x, carry.x[rows, slot]))
        y = carry.y.at[rows, slot].set(jnp.where(pair.there, pair.y, carry.y[rows, slot]))
        carry = Held(x, y, carry.seen + pair.there)
        there = jnp.arange(self.horizon) < carry.seen[:, None]
        away = jnp.where(there, jnp.square(x - pair.query[:, None]).sum(-1), jnp.inf)
        rank = jnp.argsort(jnp.argsort(away, -1), -1)
        near = there & (rank < self.neighbours)
        mean = jnp.where(near, y, 0.0).sum(-1) / jnp.maximum(near.sum(-1), 1)
        return carry, Response(mean, None)


@keep_settings(neighbours=(1, 10_000))
def subject(family: Family, neighbours: int = 3) -> NearestNeighbours:
    """Predicts the mean outcome of the k inputs seen that are nearest to the coming one.

    Args:
        family: in-context regression.
        neighbours: k, at least 1.
    """
    home = require_regression(family)
    return NearestNeighbours(home.dimension, home.horizon, jnp.asarray(neighbours, jnp.int32))
