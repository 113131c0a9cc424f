"""Searches the maze that it is shown: each tick a wave from the goal goes so many cells farther (value iteration)."""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.worlds.mazes.labyrinths import (
    initial_distances,
    move_probabilities,
    require_mazes,
    shown,
    spread_wave,
)
from mesascope.worlds.mazes.mazes import FAR

TRIED = "maze:size=5,trials=12,bank=3"


class MazePlanner(Scripted):
    """Carries the steps to the goal [N, F, F] that it knows, and the maze that they are of [N, 3 F²]."""

    field: int
    sweeps: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """No maze."""
        return jnp.full((n, self.field, self.field), FAR), jnp.full((n, 3 * self.field**2), -1.0)

    def respond(self, key, carry, percept: Percept):
        """Begins anew where the maze has changed; acts by what it knows after all sweeps of this tick but the last.

        So the way from a cell d steps from the goal is known at tick d with one sweep a tick.
        """
        value, before = carry
        maze = shown(percept)
        same = (maze.told == before).all(-1)[:, None, None]
        value = jnp.where(same, value, initial_distances(maze))

        def on(held):
            i, value, _ = held
            after = spread_wave(maze, value)
            return i + 1, after, (after != value).any()

        held = jnp.asarray(1, jnp.int32), value, jnp.asarray(True)
        value = jax.lax.while_loop(lambda h: (h[0] < self.sweeps) & h[2], on, held)[1]
        return (spread_wave(maze, value), maze.told), choose(key, jnp.log(move_probabilities(maze, value)))


@keep_settings(sweeps=(1, 4096))
def subject(family: Family, sweeps: int = 1) -> MazePlanner:
    """Sends a wave from the goal through the maze that is shown, so many cells a tick, and goes where it came from.

    Args:
        family: the mazes.
        sweeps: cells a tick.
    """
    return MazePlanner(require_mazes(family).field, jnp.asarray(sweeps, jnp.int32))
