"""Looks one step ahead and moves to the open neighbour that would be nearest to the goal if there were no walls."""

import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, keep_settings
from mesascope.worlds.mazes.observed_maze import compute_move_probabilities, read_maze, require_mazes


class MazeGreedy(ScriptedSubject):
    """Looks one step ahead; the carry is empty."""

    def respond(self, key, carry, percept: Percept):
        """Measures distances in rows plus columns, as if there were no walls; takes the first of equally good moves."""
        maze = read_maze(percept)
        n, size = maze.goal.shape[:2]
        goal = maze.goal.reshape(n, -1).argmax(-1)[:, None, None]
        row, column = jnp.arange(size)[:, None], jnp.arange(size)
        distance = jnp.abs(row - goal // size) + jnp.abs(column - goal % size)
        return carry, choose(key, jnp.log(compute_move_probabilities(maze, distance, "first")))


@keep_settings
def subject(family: Family) -> MazeGreedy:
    """Looks one step ahead and moves to the open neighbour that would be nearest to the goal if there were no walls.

    Args:
        family: the family of mazes, `maze`.
    """
    require_mazes(family)
    return MazeGreedy()
