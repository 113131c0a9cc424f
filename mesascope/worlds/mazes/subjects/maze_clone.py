"""Copies moves from a table of a planner's moves in the training mazes, without planning."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, keep_settings, require_bank
from mesascope.worlds.mazes.mazes import Problem, find_correct_moves, pad_maze, renumber_cell
from mesascope.worlds.mazes.observed_maze import read_maze, require_mazes


class MazeClone(ScriptedSubject):
    """Looks up moves in a table; the carry is empty."""

    pictures: jax.Array  # [B, 3 F²] the mazes as they are shown
    move_probabilities: jax.Array  # [B, F², 4] the planner's probabilities of the moves in each cell

    def respond(self, key, carry, percept: Percept):
        """Finds the most similar training maze, and moves as the planner does in the same cell of that maze."""
        maze = read_maze(percept)
        nearest = jnp.abs(maze.pictures[:, None] - self.pictures).sum(-1).argmin(-1)
        return carry, choose(key, jnp.log(self.move_probabilities[nearest, maze.cell]))


@keep_settings
def subject(family: Family) -> MazeClone:
    """Copies the moves that a planner makes in the most similar training maze, without planning.

    Args:
        family: the family of mazes, `maze`, with a bank.
    """
    maze_family = require_mazes(family)
    remedy = "Take --family maze:bank=8."
    bank, (passages, goal, _) = require_bank(maze_family, maze_family.bank_tasks, "has no training mazes", remedy)
    goal = renumber_cell(goal, maze_family.size, maze_family.picture_size)
    problem = Problem(pad_maze(passages, maze_family.picture_size), goal)
    size = len(goal)
    passages = jnp.moveaxis(problem.passages, -1, 1).reshape(size, -1).astype(jnp.float32)
    pictures = jnp.concatenate([passages, jax.nn.one_hot(goal, maze_family.picture_size**2)], -1)
    correct_moves = find_correct_moves(problem).reshape(size, -1, 4).astype(jnp.float32)
    # at the goal and outside the maze, all moves count as correct
    correct_moves = jnp.where(correct_moves.any(-1, keepdims=True), correct_moves, 1.0)
    move_probabilities = correct_moves / correct_moves.sum(-1, keepdims=True)
    return MazeClone(pictures, move_probabilities, trained_on=bank)
