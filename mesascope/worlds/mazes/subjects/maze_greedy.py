"""Looks one step ahead: goes to the open neighbour that is nearest to the goal in a straight line."""

import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.worlds.mazes.labyrinths import move_probabilities, read_maze, require_mazes

TRIED = "maze:size=5,trials=12,bank=3"


class MazeGreedy(Scripted):
    """Carries nothing."""

    def respond(self, key, carry, percept: Percept):
        """Judges cells by rows and columns from the goal, ignoring walls; the first of equal moves is taken."""
        maze = read_maze(percept)
        n, field = maze.goal.shape[:2]
        goal = maze.goal.reshape(n, -1).argmax(-1)[:, None, None]
        row, column = jnp.arange(field)[:, None], jnp.arange(field)
        away = jnp.abs(row - goal // field) + jnp.abs(column - goal % field)
        return carry, choose(key, jnp.log(move_probabilities(maze, away, "first")))


@keep_settings
def subject(family: Family) -> MazeGreedy:
    """Goes to the open neighbour that is nearest to the goal in a straight line: one step of look-ahead.

    Args:
        family: the mazes.
    """
    require_mazes(family)
    return MazeGreedy()
