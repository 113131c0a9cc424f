"""What scripted subjects of mazes share: the maze that is shown, one step of a wave from the goal, the choice by it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.family import Family, require_family
from mesascope.contracts.percept import Percept
from mesascope.worlds.mazes.families.maze import Maze
from mesascope.worlds.mazes.mazes import FAR, neighbours, parse_observation, planes


class Shown(NamedTuple):
    """can [N, F, F, 4] where one can go, goal [N, F, F], here [N] the cell; told [N, 3 F²] all but the last."""

    can: jax.Array
    goal: jax.Array
    here: jax.Array
    told: jax.Array


def shown(percept: Percept) -> Shown:
    """The maze in an observation."""
    problem, here = parse_observation(percept.observation)
    pictures = planes(problem)
    told = percept.observation[:, : percept.observation.shape[1] * 3 // 4]
    return Shown(pictures[..., :4] > 0.5, pictures[..., 4] > 0.5, here, told)


def initial_distances(maze: Shown) -> jax.Array:
    """[N, F, F] steps to the goal as far as they are known before any wave: 0 there, FAR elsewhere."""
    return jnp.where(maze.goal, 0, FAR)


def spread_wave(maze: Shown, value: jax.Array) -> jax.Array:
    """[N, F, F] the same after the wave has gone one cell farther."""
    return jnp.minimum(value, 1 + jnp.where(maze.can, neighbours(value, FAR), FAR).min(-1))


def move_probabilities(maze: Shown, value: jax.Array, ties: str = "random") -> jax.Array:
    """[N, 4] probabilities of moving into the open neighbour of least value; of several evenly, or the first."""
    near = jnp.where(maze.can, neighbours(value, FAR), FAR + 2)
    return greedy_probabilities(-value_at(near, maze.here).astype(jnp.float32), ties)


def value_at(values: jax.Array, here: jax.Array) -> jax.Array:
    """[N, K] what stands in the cell where one stands, of values [N, F, F, K]."""
    flat = values.reshape(len(values), -1, values.shape[-1])
    return flat[jnp.arange(len(flat)), here]


def require_mazes(family: Family) -> Maze:
    """The family, where it shows mazes.

    Raises:
        MesascopeError: another family.
    """
    return require_family(family, Maze, "shows no maze", "Put it to maze.")
