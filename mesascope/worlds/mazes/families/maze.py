"""A maze is shown whole, with where one stands and the goal: which way leads there?

Nothing has to be found out by living: the maze stays for a lifetime, and half-way the goal may move ('revalued:worth')
or a wall ('revalued:map'), which is shown at once and with no pay-off in between. Choosing well takes look-ahead as far
as the goal is. A trial is a walk of S steps, by default of one, and pays at its end what part of the way is done.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.contracts.configured import Configured, Percept, Split, first_percept, next_percept, pick
from mesascope.contracts.plans import Plans, observed
from mesascope.contracts.settings import check_memory, check_range, keep_settings
from mesascope.errors import MesascopeError
from mesascope.keys import address
from mesascope.worlds.mazes import mazes

SMALLEST, LARGEST = 5, 33
MORE = 4  # cells on a side that the larger split has more
LOOPS = 0.15  # the share of walls that are gone on the split of loops
LONGEST = 64  # steps of a walk whose acts are all kept


class Tasks(NamedTuple):
    """Before and after the change: opens [N, 2, F, F, 2], goal [N, 2], dist [N, 2, F²] steps to the goal.

    start [N, T] the cell where each walk starts; turned [N] whether moves go the other way after the change.
    """

    opens: jax.Array
    goal: jax.Array
    dist: jax.Array
    start: jax.Array
    turned: jax.Array


class State(NamedTuple):
    """trial, step and cell, each [N]."""

    trial: jax.Array
    step: jax.Array
    cell: jax.Array


class Maze(Configured):
    """Walks in mazes; see `family` for the settings.

    An observation [N, 4 F²] is four pictures of F × F cells, row by row: whether the way east is open, whether the way
    south is, the goal, where one stands. F is `MORE` larger than the maze, which stands in its upper left, so that
    the larger split shows pictures of the same size. A bank is passages [M, size, size, 2], goals [M] and starts
    [M, T], in the square of the maze.
    """

    size: int
    length: int

    controls: ClassVar = {"learner": "maze_planner", "lookalike": "maze_greedy", "still": "uniform"}
    # all is shown, so none has anything to acquire
    references: ClassVar = {
        "learner": "maze_planner:sweeps=1369",
        "discounting": "maze_planner:sweeps=1369",
        "locator": "maze_clone",
        "strongest": "maze_planner:sweeps=1369",
    }

    @property
    def steps(self) -> int:
        """S."""
        return self.length

    @property
    def field(self) -> int:
        """F."""
        return self.size + MORE

    def splits(self) -> tuple[Split, ...]:
        """Larger mazes, moves exchanged half-way, several ways, and the changes that are shown."""
        split, half = self.varied, self.horizon // 2
        revalued = (
            split(f"revalued:{what}", changes_at=half, counted=False, revalued=what)
            for what in ("worth", "map")
        )
        return (
            *(() if self.bank_tasks is None else (split("seen", seen=True),)),
            split("fresh"),
            split("shifted:larger", size=self.field),
            split("exchanged:moves", changes_at=half, turned=True),
            split("restructured:loops", loops=True),
            *revalued,
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        seen: bool = False,
        size: int = 0,
        loops: bool = False,
        turned: bool = False,
        revalued: str = "",
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: of all draws.
            n: how many.
            seen: whether they are of the bank.
            size: cells on a side, the family's where 0.
            loops: whether walls are taken out, so that several ways lead to the goal.
            turned: whether moves are exchanged half-way.
            revalued: what changes half-way and is shown: 'worth', 'map', '' for nothing.
        """
        size = size or self.size
        opens, goal, start = self._drawn(key, n, size)
        if seen:
            opens, goal, start = pick(address(key, "which"), self.bank_tasks, n)
        elif loops:
            opens = mazes.open_loops(address(key, "loops"), opens, LOOPS)
        later, moved, at = opens, goal, self.horizon // 2
        if revalued:
            start = start.at[:, at].set(start[:, at - 1])  # the change meets it where it just was
        if revalued == "map":
            later = mazes.move_wall(address(key, "wall"), mazes.Problem(opens, goal), start[:, at])
        elif revalued == "worth":
            moved = mazes.draw_other_goal(address(key, "moved"), mazes.Problem(opens, goal), start[:, at])
            late = np.arange(self.horizon) >= at
            start = jnp.where(late & (start == moved[:, None]), (start + 1) % size**2, start)
        both = [mazes.Problem(o, g) for o, g in ((opens, goal), (later, moved))]
        return self._placed(both, start, jnp.full(n, turned), size)

    def _drawn(self, key: jax.Array, n: int, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Perfect mazes [n, size, size, 2], a goal [n], and starts [n, T] elsewhere."""
        opens = mazes.grow_mazes(address(key, "maze", size), n, size)
        goal = jax.random.randint(address(key, "goal", size), (n,), 0, size**2)
        keys = jax.random.split(address(key, "start", size), self.horizon)
        start = jax.vmap(lambda k: mazes.draw_other_cell(k, goal, size**2), out_axes=1)(keys)
        return opens, goal, start

    def _placed(self, both: list[mazes.Problem], start: jax.Array, turned: jax.Array, size: int) -> Tasks:
        """Tasks in the field, from problems before and after the change in a square of their own."""
        framed = [
            mazes.Problem(
                mazes.frame_maze(p.opens, self.field), mazes.renumber_cell(p.goal, size, self.field)
            )
            for p in both
        ]
        dist = jnp.stack([mazes.distances(p).reshape(len(start), -1) for p in framed], 1)
        return Tasks(
            jnp.stack([p.opens for p in framed], 1),
            jnp.stack([p.goal for p in framed], 1),
            dist,
            mazes.renumber_cell(start, size, self.field),
            turned,
        )

    def level(self, text: str) -> Tasks:
        """The one task that a drawing shows, as `drawing` draws them; all walks start at A.

        Raises:
            MesascopeError: another size than this family's, or no way from A to G.
        """
        opens, goal, start = mazes.read(text)
        if len(opens) not in (self.size, self.field):
            raise MesascopeError(
                f"The drawing has {len(opens)} cells on a side, {self.name} has {self.size} or {self.field}.",
                f"Make the family of its size: maze:size={len(opens)}.",
            )
        problem = mazes.Problem(jnp.asarray(opens)[None], jnp.asarray([goal]))
        starts = jnp.full((1, self.horizon), start)
        return self._placed([problem, problem], starts, jnp.zeros(1, bool), len(opens))

    def drawing(self, observation: Any) -> str:
        """One observation [4 F²] in characters."""
        east, south, goal, here = np.asarray(observation).reshape(4, self.field, self.field)
        opens = np.stack([east, south], -1) > 0.5
        size = 1 + int(np.argwhere(np.asarray(mazes.passable(jnp.asarray(opens)[None]))[0].any(-1)).max())
        return mazes.draw_maze(opens, int(goal.argmax()), int(here.argmax()), size)

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task at the start of its first walk."""
        zero = jnp.zeros(len(tasks.turned), jnp.int32)
        state = State(zero, zero, tasks.start[:, 0].astype(jnp.int32))
        return state, first_percept(self._shown(tasks, state))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """One step, to the next cell or nowhere at a wall; at the goal one stays. After the last one it pays."""
        rows, late = jnp.arange(len(action)), self._late(state.trial)
        move = action ^ (2 * (tasks.turned & (late > 0)))
        opens, goal, dist = tasks.opens[rows, late], tasks.goal[rows, late], tasks.dist[rows, late]
        row, column = state.cell // self.field, state.cell % self.field
        back_row, back_column = jnp.maximum(row - 1, 0), jnp.maximum(column - 1, 0)
        can = jnp.stack(
            [
                opens[rows, back_row, column, 1] & (row > 0),
                opens[rows, row, column, 0],
                opens[rows, row, column, 1],
                opens[rows, row, back_column, 0] & (column > 0),
            ],
            -1,
        )[rows, move]
        step = jnp.asarray([-self.field, 1, self.field, -1])[move]
        cell = jnp.where(can & (state.cell != goal), state.cell + step, state.cell)
        ends = state.step + 1 >= self.length
        begun = dist[rows, tasks.start[rows, state.trial]]
        done = (begun - dist[rows, cell]) / jnp.clip(begun, 1, self.length)
        paid = jnp.where(ends, done, 0.0)
        trial, at = state.trial + ends, jnp.where(ends, 0, state.step + 1)
        coming = tasks.start[rows, jnp.minimum(trial, self.horizon - 1)]
        state = State(trial, at, jnp.where(ends, coming, cell).astype(jnp.int32))
        return state, next_percept(self._shown(tasks, state), action, paid, trial, at), paid

    def _late(self, trial: jax.Array) -> jax.Array:
        return (trial >= self.horizon // 2).astype(jnp.int32)

    def _shown(self, tasks: Tasks, state: State) -> jax.Array:
        """[N, 4 F²]."""
        rows, late = jnp.arange(len(state.cell)), self._late(state.trial)
        n, cells = len(rows), self.field**2
        opens = jnp.moveaxis(tasks.opens[rows, late], -1, 1).reshape(n, -1).astype(jnp.float32)
        places = [jax.nn.one_hot(x, cells) for x in (tasks.goal[rows, late], state.cell)]
        return jnp.concatenate([opens, *places], -1)

    def planes(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What a network of fields is shown: pictures [N, F, F, PLANES], and the cell [N] where one stands."""
        problem, here = mazes.parse_observation(observation)
        return mazes.planes(problem), here

    def problems(self, key: jax.Array, n: int) -> mazes.Problem:
        """n problems to train on, in their own square: of the bank where there is one."""
        if self.bank_tasks is not None:
            return mazes.Problem(*pick(address(key, "which"), self.bank_tasks[:2], n))
        opens, goal, _ = self._drawn(key, n, self.size)
        return mazes.Problem(opens, goal)

    def move_goal(self, key: jax.Array, problem: mazes.Problem) -> mazes.Problem:
        """The same mazes, the goal elsewhere."""
        return mazes.Problem(
            problem.opens, mazes.draw_other_cell(key, problem.goal, problem.opens.shape[1] ** 2)
        )

    pictures = staticmethod(mazes.planes)
    ways = staticmethod(mazes.right_moves)

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """chance, best, worst and fixed, turned and goal, all [N, T]; all is shown, so 'fixed' is the best that is.

        Where moves are exchanged half-way, the best that cannot adapt takes the worse moves from then on.
        """
        opens, goal, dist, start, turned = (np.asarray(x) for x in tasks)
        late = (np.arange(self.horizon) >= self.horizon // 2).astype(int)
        there = mazes.successor_cells(opens)
        there = np.where(
            np.arange(self.field**2)[:, None] == goal[..., None, None], goal[..., None, None], there
        )
        rows, both = np.arange(len(start))[:, None], {}
        begun = dist[rows, late, start]
        ways = {"chance": np.mean, "best": np.min, "worst": np.max, "blind": None}
        for name, way in ways.items():
            ends = mazes.distance_left(dist, there, self.length, way)[rows, late, start]
            both[name] = (begun - ends) / np.clip(begun, 1, self.length)
        blind = both.pop("blind")
        exchanged = (turned[:, None] & (late > 0)).astype(float)
        fixed = np.where(exchanged > 0, np.maximum(blind, both["chance"]), both["best"])
        return {**both, "fixed": fixed, "turned": exchanged, "goal": goal[:, late]}

    def plans(self, trials: xr.Dataset, label: str = "intact") -> Plans:
        """How near to the goal each move leads at the first step of a walk, by the maze as it was shown.

        Nothing is chosen where only one way is open: such acts are -1.

        Raises:
            MesascopeError: the observations were not kept.
        """
        seen = observed(trials, self.name, "Take fewer trials, shorter walks or a smaller maze.")
        seen = seen if self.length == 1 else seen[:, :, 0]
        action = trials.action.sel(condition=label).values.astype(int)
        action = action[..., None] if self.length == 1 else action[..., :1]
        n, t = action.shape[:2]
        late = (np.arange(t) >= self.horizon // 2).astype(int)
        here = seen.reshape(n, t, 4, -1)[:, :, 3].argmax(-1)
        # all that is ever shown of walls and goals
        phases = np.stack([seen[:, 0], seen[:, self.horizon // 2]], 1)
        dist, there = (x.reshape(n, 2, *x.shape[1:]) for x in self._measured(phases.reshape(2 * n, -1)))
        i = np.arange(n)[:, None]

        def worth(phase):
            ends = there[i, phase, here]
            return -dist[i[..., None], phase[..., None], ends].astype(float)[:, :, None]

        values, before = worth(late[None]), worth(np.concatenate([[0], late[:-1]])[None])
        before[:, 0] = np.nan
        ways = (there[i, late[None], here] != here[..., None]).sum(-1)
        action = np.where(ways[..., None] > 1, action, -1)
        ahead = np.maximum(dist[i, late[None], here], 1)
        # by doublings: one distance alone has too few lifetimes
        far = 1 << np.floor(np.log2(ahead)).astype(int)
        known = ~(trials.turned.values > 0) if "turned" in trials else np.ones((n, t), bool)
        cases = mazes.count_problems(self.size)
        if self.bank_tasks is not None and str(trials.attrs["split"]) == "seen":
            cases = float(len(self.bank_tasks[1]))
        return Plans(action, values, before, known, far[..., None], cases, goal=True)

    def _measured(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Steps to the goal [n, F²] and where every move leads [n, F², 4], of observations [n, 4 F²]."""
        problem, _ = mazes.parse_observation(observation)
        return np.asarray(_flooded(problem)), mazes.successor_cells(np.asarray(problem.opens))

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """The last walk had gone as far the other way."""
        return percept._replace(feedback=-percept.feedback)

    def text(self, action: int, feedback: float) -> str:
        """One step in words."""
        return f"went {mazes.WORDS[action]}, got {feedback:g}"


@eqx.filter_jit
def _flooded(problem: mazes.Problem) -> jax.Array:
    return mazes.distances(problem).reshape(len(problem.goal), -1)


@keep_settings(trials=(4, 100_000), bank=(0, 10_000))
def family(size: int = 9, steps: int = 1, trials: int = 8, bank: int = 0, bank_seed: int = 0) -> Maze:
    """A perfect maze is shown whole, with where one stands and the goal; choosing the way takes look-ahead.

    Args:
        size: cells on a side, an odd number from 5 to 33.
        steps: S, of a walk; it pays at its end the part of the way, or of S steps, that is done.
        trials: T, walks in a lifetime, at least 4.
        bank: M, the number of training mazes, each with its goal and starts; 0 for unlimited.
        bank_seed: the seed that they are drawn from.
    """
    if size % 2 == 0 or not SMALLEST <= size <= LARGEST:
        why = "is even" if SMALLEST <= size <= LARGEST else "is out of range"
        raise MesascopeError(
            f"size={size} {why}: a maze has from {SMALLEST} to {LARGEST} cells on a side, more do not fit into memory.",
            f"Give an odd number from {SMALLEST} to {LARGEST}.",
        )
    if steps < 1:
        raise MesascopeError(f"steps={steps}: nobody goes anywhere.", f"Give a number from 1 to {LONGEST}.")
    check_range(1, LONGEST, steps=steps)
    shown = trials * steps * 4 * (size + MORE) ** 2
    check_memory(
        shown, f"{trials:,} walks of {steps} steps", "Give fewer trials, shorter walks or a smaller maze."
    )
    plain = Maze(size, length=steps, choices=4, horizon=trials)
    if not bank:
        return plain
    drawn = plain._drawn(address(jax.random.key(bank_seed), "bank"), bank, size)
    return dataclasses.replace(plain, bank_tasks=drawn)
