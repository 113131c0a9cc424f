"""Copies moves from a table of a planner's moves in the training mazes, without planning."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Scripted, choose, keep_settings, require_bank
from mesascope.worlds.mazes.mazes import Problem, find_right_moves, frame_maze, renumber_cell
from mesascope.worlds.mazes.observed_maze import read_maze, require_mazes


class MazeClone(Scripted):
    """Looks up moves in a table; the carry is empty."""

    pictures: jax.Array  # [B, 3 F²] the mazes as they are shown
    answers: jax.Array  # [B, F², 4] the planner's probabilities of the moves in each cell

    def respond(self, key, carry, percept: Percept):
        """Finds the most similar training maze, and moves as the planner does in the same cell of that maze."""
        maze = read_maze(percept)
        nearest = jnp.abs(maze.pictures[:, None] - self.pictures).sum(-1).argmin(-1)
        return carry, choose(key, jnp.log(self.answers[nearest, maze.cell]))


@keep_settings
def subject(family: Family) -> MazeClone:
    """Copies the moves that a planner makes in the most similar training maze, without planning.

    Args:
        family: the family of mazes, `maze`, with a bank.
    """
    home = require_mazes(family)
    remedy = "Take --family maze:bank=8."
    bank, (passages, goal, _) = require_bank(home, home.bank_tasks, "has no training mazes", remedy)
    goal = renumber_cell(goal, home.size, home.field)
    problem = Problem(frame_maze(passages, home.field), goal)
    size = len(goal)
    passages = jnp.moveaxis(problem.passages, -1, 1).reshape(size, -1).astype(jnp.float32)
    pictures = jnp.concatenate([passages, jax.nn.one_hot(goal, home.field**2)], -1)
    right = find_right_moves(problem).reshape(size, -1, 4).astype(jnp.float32)
    # at the goal and outside the maze, all moves count as correct
    right = jnp.where(right.any(-1, keepdims=True), right, 1.0)
    answers = right / right.sum(-1, keepdims=True)
    return MazeClone(pictures, answers, trained_on=bank)
