"""Mazes on a square of cells: how they grow, how far every cell is from the goal, how a wall or the goal moves.

What loops is compiled by itself, so that it is so once for all who ask outside of compiled code.

Passages are kept as opens [N, F, F, 2]: whether one can go east, and south, from a cell. Cells are numbered by rows.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.errors import MesascopeError
from mesascope.keys import address

WORDS = ("north", "east", "south", "west")
PLANES = 6  # open to the north, east, south and west; the goal; whether the cell belongs to the maze
FAR = 1 << 14  # the distance of a cell from which there is no way


class Problem(NamedTuple):
    """opens [N, F, F, 2] and the cell of the goal [N]: all that a way hangs on but where it starts."""

    opens: jax.Array
    goal: jax.Array


@functools.cache
def edges(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The two cells [E] that every inner wall of a square stands between; those to the east first."""
    cell = np.arange(size**2).reshape(size, size)
    east, south = (cell[:, :-1].ravel(), cell[:, 1:].ravel()), (cell[:-1].ravel(), cell[1:].ravel())
    return np.concatenate([east[0], south[0]]), np.concatenate([east[1], south[1]])


def open_walls(kept: jax.Array, size: int) -> jax.Array:
    """[n, size, size, 2] passages, where the walls kept [n, E] are gone."""
    many, count = len(kept), size * (size - 1)
    east = kept[:, :count].reshape(many, size, size - 1)
    south = kept[:, count:].reshape(many, size - 1, size)
    return jnp.stack([jnp.pad(east, ((0, 0), (0, 0), (0, 1))), jnp.pad(south, ((0, 0), (0, 1), (0, 0)))], -1)


def walls(opens: jax.Array) -> jax.Array:
    """[n, E] which walls are gone: the inverse of `opened`."""
    n = len(opens)
    return jnp.concatenate([opens[:, :, :-1, 0].reshape(n, -1), opens[:, :-1, :, 1].reshape(n, -1)], -1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def grow_mazes(key: jax.Array, n: int, size: int) -> jax.Array:
    """[n, size, size, 2] perfect mazes: the spanning tree of least weight under weights drawn evenly (Prim)."""
    one, other = (jnp.asarray(e) for e in edges(size))
    weight = jax.random.uniform(key, (n, len(one)))
    inside = jnp.zeros((n, size**2), bool).at[:, 0].set(True)
    rows = jnp.arange(n)

    def add(i, held):
        inside, kept = held
        border = inside[:, one] ^ inside[:, other]
        e = jnp.where(border, weight, 2.0).argmin(-1)
        inside = inside.at[rows, one[e]].set(True).at[rows, other[e]].set(True)
        return inside, kept.at[rows, e].set(True)

    kept = jax.lax.fori_loop(0, size**2 - 1, add, (inside, jnp.zeros(weight.shape, bool)))[1]
    return open_walls(kept, size)


def passable(opens: jax.Array) -> jax.Array:
    """[N, F, F, 4] whether one can go north, east, south, west."""
    east, south = opens[..., 0], opens[..., 1]
    north = jnp.pad(south[:, :-1], ((0, 0), (1, 0), (0, 0)))
    west = jnp.pad(east[:, :, :-1], ((0, 0), (0, 0), (1, 0)))
    return jnp.stack([north, east, south, west], -1)


def neighbours(values: jax.Array, outside: Any) -> jax.Array:
    """[N, F, F, 4] what stands in the cells to the north, east, south and west of values [N, F, F]."""
    wide = jnp.pad(values, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    return jnp.stack([wide[:, :-2, 1:-1], wide[:, 1:-1, 2:], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2]], -1)


@jax.jit
def distances(problem: Problem) -> jax.Array:
    """[N, F, F] steps to the goal from every cell, FAR where there is no way: breadth first, all cells at once."""
    n, size = problem.opens.shape[:2]
    start = jnp.full((n, size**2), FAR).at[jnp.arange(n), problem.goal].set(0).reshape(n, size, size)
    can = passable(problem.opens)

    def wave(held):
        value, _ = held
        nearer = jnp.where(can, neighbours(value, FAR), FAR).min(-1) + 1
        after = jnp.minimum(value, nearer)
        return after, (after != value).any()

    return jax.lax.while_loop(lambda held: held[1], wave, (start, jnp.asarray(True)))[0]


@jax.jit
def right_moves(problem: Problem) -> jax.Array:
    """[N, F, F, 4] which moves are right at every cell: those that lead one step nearer; none at the goal."""
    far = distances(problem)
    return passable(problem.opens) & (neighbours(far, FAR) == far[..., None] - 1)


def planes(problem: Problem) -> jax.Array:
    """[N, F, F, PLANES] the maze as pictures, 0 and 1."""
    n, size = problem.opens.shape[:2]
    can = passable(problem.opens)
    goal = jax.nn.one_hot(problem.goal, size**2).reshape(n, size, size, 1)
    return jnp.concatenate([can, goal, can.any(-1, keepdims=True)], -1).astype(jnp.float32)


def parse_observation(observation: Any) -> tuple[Problem, jax.Array]:
    """The problem in observations [N, 4 F²], and the cell [N] where one stands."""
    east, south, goal, here = jnp.split(jnp.asarray(observation), 4, axis=-1)
    field = math.isqrt(east.shape[-1])
    opens = jnp.stack([east, south], -1).reshape(-1, field, field, 2) > 0.5
    return Problem(opens, goal.argmax(-1)), here.argmax(-1).astype(jnp.int32)


def draw_other_cell(key: jax.Array, old: jax.Array, cells: int) -> jax.Array:
    """[N] another cell than the old one, evenly."""
    return (old + jax.random.randint(key, old.shape, 1, cells)) % cells


@jax.jit
def draw_other_goal(key: jax.Array, problem: Problem, start: jax.Array) -> jax.Array:
    """[N] another goal, to which another move from the start leads, where there are several ways from there."""
    n, size = problem.opens.shape[:2]
    right = right_moves(problem).reshape(n, -1, 4)[jnp.arange(n), start].argmax(-1)
    first = start + jnp.asarray([-size, 1, size, -1])[right]
    far, near = (distances(Problem(problem.opens, c)).reshape(n, -1) for c in (start, first))
    cell = jnp.arange(size**2)
    luck = jax.random.uniform(key, far.shape) + (near > far)  # not by way of the same first step
    return jnp.where((cell == start[:, None]) | (cell == problem.goal[:, None]), -1.0, luck).argmax(-1)


@jax.jit
def move_wall(key: jax.Array, problem: Problem, start: jax.Array) -> jax.Array:
    """[n, size, size, 2] passages after one wall has moved: the way from start is cut, and another one opened.

    The cut is not beside the start where the way is two steps or longer, so that it cannot be seen from there. In a
    perfect maze all cells remain within reach.
    """
    n, size = problem.opens.shape[:2]
    one, other = (jnp.asarray(e) for e in edges(size))
    kept = walls(problem.opens)
    there = distances(problem).reshape(n, -1)
    back = distances(Problem(problem.opens, start)).reshape(n, -1)
    on = there + back == jnp.take_along_axis(there, start[:, None], 1)
    beside = (start[:, None] == one) | (start[:, None] == other)
    luck = jax.random.uniform(address(key, "cut"), kept.shape)
    cut = jnp.where(kept & on[:, one] & on[:, other], luck + 1.0 - beside, -1.0).argmax(-1)
    rows = jnp.arange(n)
    left = kept.at[rows, cut].set(False)
    reached = (distances(Problem(open_walls(left, size), problem.goal)) < FAR).reshape(n, -1)
    luck = jax.random.uniform(address(key, "open"), kept.shape).at[rows, cut].set(-2.0)
    crosses = reached[:, one] ^ reached[:, other]
    return open_walls(left.at[rows, jnp.where(crosses, luck, -3.0).argmax(-1)].set(True), size)


def open_loops(key: jax.Array, opens: jax.Array, share: float) -> jax.Array:
    """The same passages, and a share of the walls that stand gone as well: then there are several ways."""
    kept = walls(opens)
    return open_walls(kept | jax.random.bernoulli(key, share, kept.shape), opens.shape[1])


def frame_maze(opens: jax.Array, field: int) -> jax.Array:
    """[n, field, field, 2] the same maze in the upper left of a larger square."""
    more = field - opens.shape[1]
    return jnp.pad(opens, ((0, 0), (0, more), (0, more), (0, 0)))


def renumber_cell(cell: Any, size: int, field: int) -> Any:
    """The number in a square of side `field` of a cell of a square of side `size`."""
    return cell // size * field + cell % size


def successor_cells(opens: np.ndarray) -> np.ndarray:
    """[..., F², 4] the cell that every move leads to, itself at a wall, from passages [..., F, F, 2]."""
    size = opens.shape[-2]
    flat = opens.reshape(-1, size, size, 2)
    can = np.asarray(passable(jnp.asarray(flat))).reshape(*opens.shape[:-3], size**2, 4)
    cell = np.arange(size**2)[:, None]
    return np.where(can, cell + np.asarray([-size, 1, size, -1]), cell)


def distance_left(dist: np.ndarray, there: np.ndarray, steps: int, way: Any) -> np.ndarray:
    """[..., C] the distance that is left after so many steps from each cell; way None: each move by the shown best.

    Args:
        dist: [..., C] steps to the goal.
        there: [..., C, 4] where moves lead.
        steps: S.
        way: the mean, the least or the most over moves at each step; None for the moves that would be best, all of
            them turned round.
    """
    value = dist.astype(float)
    flat = there.reshape(*there.shape[:-2], -1)
    near = np.take_along_axis(dist, flat, -1).reshape(there.shape)
    right = (near == near.min(-1, keepdims=True))[..., [2, 3, 0, 1]]
    for _ in range(steps):
        then = np.take_along_axis(value, flat, -1).reshape(there.shape)
        value = way(then, axis=-1) if way else (then * right).sum(-1) / right.sum(-1)
    return value


@functools.cache
def count_problems(size: int) -> float:
    """How many different problems there are: perfect mazes (Kirchhoff's theorem) times places of start and goal."""
    one, other = edges(size)
    laplace = np.zeros((size**2, size**2))
    np.add.at(laplace, (one, other), -1)
    laplace = laplace + laplace.T
    np.fill_diagonal(laplace, -laplace.sum(1))
    log = np.linalg.slogdet(laplace[1:, 1:])[1] + np.log(size**2 * (size**2 - 1.0))
    return float(np.exp(min(log, 700.0)))


def draw_maze(opens: np.ndarray, goal: int, here: int, size: int) -> str:
    """One maze in characters: A where one stands, G the goal."""
    rows = ["+" + "--+" * size]
    for r in range(size):
        line, under = "|", "+"
        for c in range(size):
            cell = r * len(opens) + c
            sign = "A" if cell == here else "G" if cell == goal else " "
            line += f"{sign} " + (" " if opens[r, c, 0] else "|")
            under += ("  " if opens[r, c, 1] else "--") + "+"
        rows += [line, under]
    return "\n".join(rows)


def read(text: str) -> tuple[np.ndarray, int, int]:
    """Passages [size, size, 2], goal and start of a drawing.

    Raises:
        MesascopeError: no drawing of a maze, or none with a way from A to G.
    """
    rows = text.strip("\n").splitlines()
    size = len(rows) // 2
    if len(rows) != 2 * size + 1 or size < 2 or any(len(r) != 3 * size + 1 for r in rows):
        raise MesascopeError(
            f"This is no drawing of a maze: {len(rows)} lines of {sorted({len(r) for r in rows})} characters.",
            "Draw n cells on a side in 2n + 1 lines of 3n + 1 characters, as the family maze shows them.",
        )
    middle = [[rows[2 * r + 1][3 * c + 1] for c in range(size)] for r in range(size)]
    places = {
        sign: [r * size + c for r in range(size) for c in range(size) if middle[r][c] == sign]
        for sign in "AG"
    }
    if any(len(found) != 1 for found in places.values()):
        counts = ", ".join(f"{len(found)} times {sign}" for sign, found in places.items())
        raise MesascopeError(
            f"The drawing has {counts}.", "Draw one A, where one stands, and one G, the goal."
        )
    opens = np.zeros((size, size, 2), bool)
    for r in range(size):
        for c in range(size):
            opens[r, c, 0] = c + 1 < size and rows[2 * r + 1][3 * c + 3] == " "
            opens[r, c, 1] = r + 1 < size and rows[2 * r + 2][3 * c + 1 : 3 * c + 3] == "  "
    (start,), (goal,) = places["A"], places["G"]
    far = distances(Problem(jnp.asarray(opens)[None], jnp.asarray([goal])))
    if int(far.reshape(-1)[start]) >= FAR:
        raise MesascopeError("There is no way from A to G.", "Open a wall between the two.")
    return opens, goal, start
