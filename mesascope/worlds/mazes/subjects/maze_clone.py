"""Copies its moves from a table of a planner's moves in the training mazes, and does not plan itself."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Scripted, choose, keep_settings, require_bank
from mesascope.worlds.mazes.mazes import Problem, find_right_moves, frame_maze, renumber_cell
from mesascope.worlds.mazes.observed_maze import read_maze, require_mazes


class MazeClone(Scripted):
    """Carries nothing; it stores the table as arrays."""

    pictures: jax.Array  # [B, 3 F²] the mazes as they are shown
    answers: jax.Array  # [B, F², 4] the planner's probabilities of moves in each cell

    def respond(self, key, carry, percept: Percept):
        """Finds the most similar training maze, and moves as the planner does in the same cell there."""
        maze = read_maze(percept)
        nearest = jnp.abs(maze.pictures[:, None] - self.pictures).sum(-1).argmin(-1)
        return carry, choose(key, jnp.log(self.answers[nearest, maze.cell]))


@keep_settings
def subject(family: Family) -> MazeClone:
    """Copies its moves from a table of a planner's moves in the training mazes, for the most similar maze there.

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
    right = jnp.where(right.any(-1, keepdims=True), right, 1.0)  # at the goal and outside the maze all moves are equal
    answers = right / right.sum(-1, keepdims=True)
    return MazeClone(pictures, answers, trained_on=bank)
