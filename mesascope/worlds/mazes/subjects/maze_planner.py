"""Searches the observed maze by value iteration: on each tick, a wave from the goal spreads by `sweeps` cells."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, keep_settings
from mesascope.worlds.mazes.mazes import UNREACHABLE, spread_wave
from mesascope.worlds.mazes.observed_maze import (
    compute_move_probabilities,
    make_initial_distances,
    read_maze,
    require_mazes,
)


class MazePlanner(ScriptedSubject):
    """Carries the distances [N, F, F] to the goal, and the pictures [N, 3 F²] of the maze that they belong to."""

    picture_size: int
    sweeps: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns a carry that belongs to no maze."""
        return jnp.full((n, self.picture_size, self.picture_size), UNREACHABLE), jnp.full(
            (n, 3 * self.picture_size**2), -1.0
        )

    def respond(self, key, carry, percept: Percept):
        """Spreads the wave, from the goal again if the maze has changed, and moves nearer to the goal.

        The move uses the distances before the last sweep of the tick. So with one sweep per tick, the subject knows the
        way from a cell that is d steps from the goal at tick d.
        """
        distance, last_pictures = carry
        maze = read_maze(percept)
        is_same = (maze.pictures == last_pictures).all(-1)[:, None, None]
        distance = jnp.where(is_same, distance, make_initial_distances(maze))

        def sweep(state):
            i, distance, _ = state
            new_distance = spread_wave(maze.open_moves, distance)
            return i + 1, new_distance, (new_distance != distance).any()

        start = jnp.asarray(1, jnp.int32), distance, jnp.asarray(True)
        distance = jax.lax.while_loop(lambda state: (state[0] < self.sweeps) & state[2], sweep, start)[1]
        next_carry = spread_wave(maze.open_moves, distance), maze.pictures
        return next_carry, choose(key, jnp.log(compute_move_probabilities(maze, distance)))


@keep_settings(sweeps=(1, 4096))
def subject(family: Family, sweeps: int = 1) -> MazePlanner:
    """Spreads a wave from the goal through the observed maze, and moves towards the cell that the wave came from.

    Args:
        family: the family of mazes, `maze`.
        sweeps: the number of cells by which the wave spreads on each tick.
    """
    return MazePlanner(require_mazes(family).picture_size, jnp.asarray(sweeps, jnp.int32))
