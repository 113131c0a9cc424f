"""Helpers for scripted subjects of mazes: they parse observations and compute distances and probabilities of moves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, compute_greedy_probabilities, require_family
from mesascope.worlds.mazes.families.maze import Maze
from mesascope.worlds.mazes.mazes import UNREACHABLE, get_neighbour_values, parse_observation, render_planes


class ObservedMaze(NamedTuple):
    """A maze and the subject's cell, as an observation shows them.

    Attributes:
        open_moves: [N, F, F, 4] whether each move is possible.
        goal: [N, F, F] whether the cell is the goal.
        cell: [N] the subject's cell.
        pictures: [N, 3 F²] the observation without the subject's cell.
    """

    open_moves: jax.Array
    goal: jax.Array
    cell: jax.Array
    pictures: jax.Array


def read_maze(percept: Percept) -> ObservedMaze:
    """Reads the mazes from the observations of percepts."""
    problem, cell = parse_observation(percept.observation)
    planes = render_planes(problem)
    pictures = percept.observation[:, : percept.observation.shape[1] * 3 // 4]
    return ObservedMaze(planes[..., :4] > 0.5, planes[..., 4] > 0.5, cell, pictures)


def make_initial_distances(maze: ObservedMaze) -> jax.Array:
    """Makes the distances [N, F, F] before a wave spreads: 0 at the goal, `UNREACHABLE` elsewhere."""
    return jnp.where(maze.goal, 0, UNREACHABLE)


def compute_move_probabilities(maze: ObservedMaze, values: jax.Array, ties: str = "random") -> jax.Array:
    """Computes the probabilities [N, 4] of moves to the open neighbour with the smallest of the `values` [N, F, F].

    Ties are broken at random ('random') or in favour of the first move ('first').
    """
    neighbour_values = jnp.where(maze.open_moves, get_neighbour_values(values, UNREACHABLE), UNREACHABLE + 2)
    at_cell = neighbour_values.reshape(len(values), -1, 4)[jnp.arange(len(values)), maze.cell]
    return compute_greedy_probabilities(-at_cell.astype(jnp.float32), ties)


def require_mazes(family: Family) -> Maze:
    """Returns the family if it shows mazes.

    Raises:
        MesascopeError: the family does not show mazes.
    """
    return require_family(family, Maze, "shows no maze", "Take --family maze.")
