"""Makes random mazes on a square of cells, measures distances to the goal, moves walls and goals, and renders mazes.

The array `passages` [N, F, F, 2] states whether the way east, and the way south, is open from each cell. Cells are
numbered row by row. Functions with loops are compiled separately, so that all callers share one compilation.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

N_PLANES = 6  # whether a cell is open to the north, east, south and west; is the goal; belongs to the maze
UNREACHABLE = 1 << 14  # the distance of a cell from which no way leads to the goal


class Problem(NamedTuple):
    """N mazes with their goals: the passages [N, F, F, 2], and the cell of each goal [N]."""

    passages: jax.Array
    goal: jax.Array


@functools.cache
def list_walls(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Lists the two cells that each inner wall separates, [E] each; walls between east-west neighbours come first."""
    cell = np.arange(size**2).reshape(size, size)
    east_pairs, south_pairs = (cell[:, :-1].ravel(), cell[:, 1:].ravel()), (cell[:-1].ravel(), cell[1:].ravel())
    return np.concatenate([east_pairs[0], south_pairs[0]]), np.concatenate([east_pairs[1], south_pairs[1]])


def make_passages(removed_walls: jax.Array, size: int) -> jax.Array:
    """Makes the passages [n, size, size, 2] of squares without the walls that are marked in `removed_walls` [n, E]."""
    n, count = len(removed_walls), size * (size - 1)
    east = removed_walls[:, :count].reshape(n, size, size - 1)
    south = removed_walls[:, count:].reshape(n, size - 1, size)
    return jnp.stack([jnp.pad(east, ((0, 0), (0, 0), (0, 1))), jnp.pad(south, ((0, 0), (0, 1), (0, 0)))], -1)


def find_removed_walls(passages: jax.Array) -> jax.Array:
    """Finds whether each wall is removed, [n, E]: the inverse of `make_passages`."""
    n = len(passages)
    return jnp.concatenate([passages[:, :, :-1, 0].reshape(n, -1), passages[:, :-1, :, 1].reshape(n, -1)], -1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def draw_mazes(key: jax.Array, n: int, size: int) -> jax.Array:
    """Draws perfect mazes [n, size, size, 2]: minimum spanning trees for uniform random weights (Prim's algorithm)."""
    one, other = (jnp.asarray(e) for e in list_walls(size))
    weight = jax.random.uniform(key, (n, len(one)))
    in_tree = jnp.zeros((n, size**2), bool).at[:, 0].set(True)
    rows = jnp.arange(n)

    def add_cell(i, growing_tree):
        in_tree, open_edges = growing_tree
        border = in_tree[:, one] ^ in_tree[:, other]
        e = jnp.where(border, weight, 2.0).argmin(-1)
        in_tree = in_tree.at[rows, one[e]].set(True).at[rows, other[e]].set(True)
        return in_tree, open_edges.at[rows, e].set(True)

    removed_walls = jax.lax.fori_loop(0, size**2 - 1, add_cell, (in_tree, jnp.zeros(weight.shape, bool)))[1]
    return make_passages(removed_walls, size)


def find_open_moves(passages: jax.Array) -> jax.Array:
    """Finds whether the ways north, east, south and west are open from each cell, [N, F, F, 4]."""
    east, south = passages[..., 0], passages[..., 1]
    north = jnp.pad(south[:, :-1], ((0, 0), (1, 0), (0, 0)))
    west = jnp.pad(east[:, :, :-1], ((0, 0), (0, 0), (1, 0)))
    return jnp.stack([north, east, south, west], -1)


def get_neighbour_values(values: jax.Array, outside_value: Any) -> jax.Array:
    """Returns the values of the cells to the north, east, south and west of each cell, [N, F, F, 4].

    Args:
        values: [N, F, F] the value of each cell.
        outside_value: the value outside the square.
    """
    padded = jnp.pad(values, ((0, 0), (1, 1), (1, 1)), constant_values=outside_value)
    return jnp.stack([padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2]], -1)


def spread_wave(open_moves: jax.Array, distance: jax.Array) -> jax.Array:
    """Computes the distances [N, F, F] to the goal after a wave from the goal has spread by one more cell.

    Args:
        open_moves: [N, F, F, 4] whether each move is possible.
        distance: [N, F, F] the distances so far: 0 at the goal, `UNREACHABLE` in cells that the wave has not reached.
    """
    through_neighbour = 1 + jnp.where(open_moves, get_neighbour_values(distance, UNREACHABLE), UNREACHABLE).min(-1)
    return jnp.minimum(distance, through_neighbour)


@jax.jit
def measure_distances(problem: Problem) -> jax.Array:
    """Measures the steps to the goal from every cell, [N, F, F]; `UNREACHABLE` if there is no way."""
    n, size = problem.passages.shape[:2]
    start = jnp.full((n, size**2), UNREACHABLE).at[jnp.arange(n), problem.goal].set(0).reshape(n, size, size)
    open_moves = find_open_moves(problem.passages)

    def spread(state):
        distance, _ = state
        new_distance = spread_wave(open_moves, distance)
        return new_distance, (new_distance != distance).any()

    return jax.lax.while_loop(lambda state: state[1], spread, (start, jnp.asarray(True)))[0]


@jax.jit
def find_correct_moves(problem: Problem) -> jax.Array:
    """Finds whether each move leads one step nearer to the goal, [N, F, F, 4]; at the goal, no move does."""
    distance = measure_distances(problem)
    return find_open_moves(problem.passages) & (get_neighbour_values(distance, UNREACHABLE) == distance[..., None] - 1)


def render_planes(problem: Problem) -> jax.Array:
    """Renders mazes as pictures of zeros and ones, [N, F, F, N_PLANES]."""
    n, size = problem.passages.shape[:2]
    is_open = find_open_moves(problem.passages)
    goal = jax.nn.one_hot(problem.goal, size**2).reshape(n, size, size, 1)
    return jnp.concatenate([is_open, goal, is_open.any(-1, keepdims=True)], -1).astype(jnp.float32)


def parse_observation(observation: Any) -> tuple[Problem, jax.Array]:
    """Parses the problems and the subjects' cells [N] from observations [N, 4 F²]."""
    east, south, goal, cell = jnp.split(jnp.asarray(observation), 4, axis=-1)
    field = math.isqrt(east.shape[-1])
    passages = jnp.stack([east, south], -1).reshape(-1, field, field, 2) > 0.5
    return Problem(passages, goal.argmax(-1)), cell.argmax(-1).astype(jnp.int32)


def draw_other_cell(key: jax.Array, cell: jax.Array, cells: int) -> jax.Array:
    """Draws cells [N] uniformly from all cells except the present ones."""
    return (cell + jax.random.randint(key, cell.shape, 1, cells)) % cells


@jax.jit
def draw_other_goal(key: jax.Array, problem: Problem, start: jax.Array) -> jax.Array:
    """Draws new goals [N] that require another first move from the start, if several ways are open there."""
    n, size = problem.passages.shape[:2]
    correct_move = find_correct_moves(problem).reshape(n, -1, 4)[jnp.arange(n), start].argmax(-1)
    first_cell = start + jnp.asarray([-size, 1, size, -1])[correct_move]
    distance_from_start, distance_from_first_cell = (
        measure_distances(Problem(problem.passages, c)).reshape(n, -1) for c in (start, first_cell)
    )
    cell = jnp.arange(size**2)
    draws = jax.random.uniform(key, distance_from_start.shape) + (
        distance_from_first_cell > distance_from_start
    )  # prefers goals that require another first move
    return jnp.where((cell == start[:, None]) | (cell == problem.goal[:, None]), -1.0, draws).argmax(-1)


@jax.jit
def move_wall(key: jax.Array, problem: Problem, start: jax.Array) -> jax.Array:
    """Moves one wall, so that it blocks the way to the goal and another way opens; returns passages [n, size, size, 2].

    If the way has two or more steps, the wall does not block the first of them. In a perfect maze all cells stay
    connected.
    """
    n, size = problem.passages.shape[:2]
    one, other = (jnp.asarray(e) for e in list_walls(size))
    removed_walls = find_removed_walls(problem.passages)
    to_goal = measure_distances(problem).reshape(n, -1)
    to_start = measure_distances(Problem(problem.passages, start)).reshape(n, -1)
    is_on_way = to_goal + to_start == jnp.take_along_axis(to_goal, start[:, None], 1)
    is_beside = (start[:, None] == one) | (start[:, None] == other)
    draws = jax.random.uniform(derive_key(key, "cut"), removed_walls.shape)
    cut = jnp.where(removed_walls & is_on_way[:, one] & is_on_way[:, other], draws + 1.0 - is_beside, -1.0).argmax(-1)
    rows = jnp.arange(n)
    after_cut = removed_walls.at[rows, cut].set(False)
    is_connected = (measure_distances(Problem(make_passages(after_cut, size), problem.goal)) < UNREACHABLE).reshape(
        n, -1
    )
    draws = jax.random.uniform(derive_key(key, "open"), removed_walls.shape).at[rows, cut].set(-2.0)
    is_crossing = is_connected[:, one] ^ is_connected[:, other]
    return make_passages(after_cut.at[rows, jnp.where(is_crossing, draws, -3.0).argmax(-1)].set(True), size)


def remove_walls(key: jax.Array, passages: jax.Array, share: float) -> jax.Array:
    """Removes each remaining wall with probability `share`, so that there are several ways; returns the passages."""
    removed_walls = find_removed_walls(passages)
    return make_passages(removed_walls | jax.random.bernoulli(key, share, removed_walls.shape), passages.shape[1])


def pad_maze(passages: jax.Array, new_size: int) -> jax.Array:
    """Puts mazes in the upper left corner of a larger square; returns passages [n, new_size, new_size, 2]."""
    added_cells = new_size - passages.shape[1]
    return jnp.pad(passages, ((0, 0), (0, added_cells), (0, added_cells), (0, 0)))


def renumber_cell(cell: Any, size: int, new_size: int) -> Any:
    """Converts the number of a cell in a square of side `size` to its number in a square of side `new_size`."""
    return cell // size * new_size + cell % size


def find_successors(passages: np.ndarray) -> np.ndarray:
    """Finds the cell that each move leads to, [..., F², 4], for passages [..., F, F, 2]; a move into a wall stays."""
    size = passages.shape[-2]
    flat = passages.reshape(-1, size, size, 2)
    is_open = np.asarray(find_open_moves(jnp.asarray(flat))).reshape(*passages.shape[:-3], size**2, 4)
    cell = np.arange(size**2)[:, None]
    return np.where(is_open, cell + np.asarray([-size, 1, size, -1]), cell)


def compute_remaining_distances(distance: np.ndarray, successors: np.ndarray, steps: int, aggregate: Any) -> np.ndarray:
    """Computes the distance to the goal that remains after S steps of a policy from each of C cells, [..., C].

    Args:
        distance: [..., C] the number of steps to the goal.
        successors: [..., C, 4] the cells that the moves lead to.
        steps: S, the number of steps.
        aggregate: a function that aggregates the distances over the four moves of a step: the mean for random moves,
            the minimum for the best ones; None for a policy that takes the opposites of the best moves.
    """
    value = distance.astype(float)
    flat = successors.reshape(*successors.shape[:-2], -1)
    neighbour_distances = np.take_along_axis(distance, flat, -1).reshape(successors.shape)
    is_opposite_of_best = (neighbour_distances == neighbour_distances.min(-1, keepdims=True))[..., [2, 3, 0, 1]]
    for _ in range(steps):
        next_values = np.take_along_axis(value, flat, -1).reshape(successors.shape)
        value = (
            aggregate(next_values, axis=-1)
            if aggregate
            else (next_values * is_opposite_of_best).sum(-1) / is_opposite_of_best.sum(-1)
        )
    return value


@functools.cache
def count_problems(size: int) -> float:
    """Counts the different problems of a size: perfect mazes (by Kirchhoff's theorem) times pairs of start and goal.

    The result is at most e⁷⁰⁰.
    """
    one, other = list_walls(size)
    laplace = np.zeros((size**2, size**2))
    np.add.at(laplace, (one, other), -1)
    laplace = laplace + laplace.T
    np.fill_diagonal(laplace, -laplace.sum(1))
    log = np.linalg.slogdet(laplace[1:, 1:])[1] + np.log(size**2 * (size**2 - 1.0))
    return float(np.exp(min(log, 700.0)))


def render_maze(passages: np.ndarray, goal: int, cell: int, size: int) -> str:
    """Renders one maze as text; A marks the subject's cell, and G marks the goal."""
    canvas = np.full((2 * size + 1, 3 * size + 1), " ")
    canvas[::2] = "-"
    canvas[1::2, ::3] = "|"
    canvas[::2, ::3] = "+"
    east, south = passages[:size, :size, 0], passages[:size, :size, 1]
    canvas[1::2, 3::3][east] = " "
    canvas[2::2, 1::3][south] = canvas[2::2, 2::3][south] = " "
    canvas[1::2, 1::3][divmod(goal, len(passages))] = "G"
    canvas[1::2, 1::3][divmod(cell, len(passages))] = "A"
    return "\n".join("".join(row) for row in canvas)


def parse_drawing(text: str) -> tuple[np.ndarray, int, int]:
    """Parses a drawing, and returns the passages [size, size, 2], the goal's cell, and the start cell.

    Raises:
        MesascopeError: the text is not a drawing of a maze, or there is no way from A to G.
    """
    rows = text.strip("\n").splitlines()
    size = len(rows) // 2
    if len(rows) != 2 * size + 1 or size < 2 or any(len(r) != 3 * size + 1 for r in rows):
        raise MesascopeError(
            f"This is not a drawing of a maze: {len(rows)} lines of {sorted({len(r) for r in rows})} characters.",
            "A maze with n cells on a side takes 2n + 1 lines of 3n + 1 characters, as the family maze draws it.",
        )
    canvas = np.array([list(row) for row in rows])
    cells_by_sign = {sign: np.flatnonzero(canvas[1::2, 1::3] == sign).tolist() for sign in "AG"}
    if any(len(found) != 1 for found in cells_by_sign.values()):
        counts = ", ".join(f"{len(found)} times {sign}" for sign, found in cells_by_sign.items())
        raise MesascopeError(f"The drawing has {counts}.", "Draw one A, the subject's cell, and one G, the goal.")
    empty = canvas == " "
    passages = np.stack([empty[1::2, 3::3], empty[2::2, 1::3] & empty[2::2, 2::3]], -1)
    passages[:, -1, 0] = passages[-1, :, 1] = False
    (start,), (goal,) = cells_by_sign.values()
    distance = measure_distances(Problem(jnp.asarray(passages)[None], jnp.asarray([goal])))
    if int(distance.reshape(-1)[start]) >= UNREACHABLE:
        raise MesascopeError("There is no way from A to G.", "Remove a wall between A and G.")
    return passages, goal, start
