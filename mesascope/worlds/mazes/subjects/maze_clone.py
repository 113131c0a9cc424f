"""A table of what a planner does in the training mazes: acts exactly like it there, and computes nothing new."""

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings, require_bank
from mesascope.worlds.mazes.labyrinths import require_mazes, shown
from mesascope.worlds.mazes.mazes import Problem, frame_maze, renumber_cell, right_moves

TRIED = "maze:size=5,trials=12,bank=3"


class MazeClone(Scripted):
    """Carries nothing; the table is data."""

    told: jax.Array  # [B, 3 F²] the mazes as they are shown
    acts: jax.Array  # [B, F², 4] probabilities of what the planner does in each cell

    def respond(self, key, carry, percept: Percept):
        """Looks up the maze that is most like the one that is shown, and what belongs to the cell there."""
        maze = shown(percept)
        which = jnp.abs(maze.told[:, None] - self.told).sum(-1).argmin(-1)
        return carry, choose(key, jnp.log(self.acts[which, maze.here]))


@keep_settings
def subject(family: Family) -> MazeClone:
    """Acts by a table of what a planner does in the training mazes, in the most similar of them.

    Args:
        family: the mazes, with a bank.
    """
    home = require_mazes(family)
    remedy = "Take --family maze:bank=8."
    bank, (passages, goal, _) = require_bank(home, home.bank_tasks, "has no training mazes", remedy)
    goal = renumber_cell(goal, home.size, home.field)
    problem = Problem(frame_maze(passages, home.field), goal)
    many = len(goal)
    opens = jnp.moveaxis(problem.opens, -1, 1).reshape(many, -1).astype(jnp.float32)
    told = jnp.concatenate([opens, jax.nn.one_hot(goal, home.field**2)], -1)
    right = right_moves(problem).reshape(many, -1, 4).astype(jnp.float32)
    right = jnp.where(right.any(-1, keepdims=True), right, 1.0)  # at the goal, and outside: any
    acts = right / right.sum(-1, keepdims=True)
    return MazeClone(told, acts, trained_on=bank)
