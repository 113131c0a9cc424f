"""Mazes in which the subject sees the whole maze, its own cell and the goal, and chooses the next move.

Nothing about the task is hidden. A lifetime has one maze. Half-way through the lifetime, the goal may move
('revalued:worth') or a wall may move ('revalued:map'). The observation shows the change at once, before any pay-off. To
choose well, the subject must look ahead to the goal. A trial is a walk of S steps; by default S is 1. The pay-off comes
at the end of the walk. It is the fraction of the way to the goal that the subject has covered; if the goal is more than
S steps away, the number of steps by which the subject came nearer is divided by S.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.contracts import ActionConsequences, Split, check_memory, check_range, keep_settings, read_observations
from mesascope.contracts.bank_draws import draw_from_bank
from mesascope.contracts.family import ConfiguredFamily, make_reference_roles
from mesascope.contracts.percept import Percept, make_first_percept, make_next_percept
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key
from mesascope.worlds.mazes import mazes

MIN_SIZE, MAX_SIZE = 5, 33
EXTRA_CELLS = 4  # by how many cells the sides of a maze are longer on the split 'shifted:larger'
LOOP_SHARE = 0.15  # the probability that a remaining wall is removed on the split 'restructured:loops'
MAX_STEPS = 64  # the largest number of steps in a walk
REFERENCE_PLANNER = "maze_planner:sweeps=1369"  # 37² sweeps are enough for the longest way in the largest maze


class Tasks(NamedTuple):
    """N mazes, each before and after the change.

    Attributes:
        passages: [N, 2, F, F, 2] whether the way east, and the way south, is open from each cell.
        goal: [N, 2] the cell of the goal.
        distance: [N, 2, F²] the number of steps from each cell to the goal.
        start_cells: [N, T] the cell where each walk starts.
        has_reversed_moves: [N] whether each move leads in the opposite direction in the second half of the lifetime.
    """

    passages: jax.Array
    goal: jax.Array
    distance: jax.Array
    start_cells: jax.Array
    has_reversed_moves: jax.Array


class State(NamedTuple):
    """The trial, the step and the cell of each lifetime, [N] each."""

    trial: jax.Array
    step: jax.Array
    cell: jax.Array


class Maze(ConfiguredFamily):
    """Walks in mazes; see `family` for the settings.

    An observation [N, 4 F²] consists of four pictures of F × F cells, row by row: whether the way east is open, whether
    the way south is open, the goal, and the subject's cell. F is `size` plus `EXTRA_CELLS`, so that the larger mazes of
    the split 'shifted:larger' also fit. The maze is in the upper left corner. A bank consists of passages
    [M, size, size, 2], goals [M] and starts [M, T]. Cells in a bank are numbered in a square of `size` × `size` cells.
    """

    size: int
    walk_steps: int

    controls: ClassVar = {"learner": "maze_planner", "lookalike": "maze_greedy", "still": "uniform"}
    # the observation shows the whole task, so a subject can acquire nothing
    references: ClassVar = make_reference_roles(
        REFERENCE_PLANNER, REFERENCE_PLANNER, "maze_clone", strongest=REFERENCE_PLANNER, against_setting=""
    )

    @property
    def steps(self) -> int:
        """S, the number of steps in a walk."""
        return self.walk_steps

    @property
    def picture_size(self) -> int:
        """F, the number of cells on each side of a picture."""
        return self.size + EXTRA_CELLS

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen, fresh, larger mazes, reversed moves, loops, and two kinds of visible change."""
        split, half = self.make_split, self.horizon // 2
        revalued_splits = (
            split(f"revalued:{change}", change_trial=half, is_counted=False, revalued_part=change)
            for change in ("worth", "map")
        )
        return (
            *(() if self.bank_tasks is None else (split("seen", is_seen=True),)),
            split("fresh"),
            split("shifted:larger", size=self.picture_size),
            split("exchanged:moves", change_trial=half, has_reversed_moves=True),
            split("restructured:loops", has_loops=True),
            *revalued_splits,
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        is_seen: bool = False,
        size: int = 0,
        has_loops: bool = False,
        has_reversed_moves: bool = False,
        revalued_part: str = "",
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key for all draws.
            n: the number of tasks.
            is_seen: whether the tasks come from the bank.
            size: the number of cells on a side; 0 for the family's size.
            has_loops: whether some walls are removed, so that several ways lead to the goal.
            has_reversed_moves: whether each move leads in the opposite direction from half-way on.
            revalued_part: what visibly changes half-way: 'worth' (the goal), 'map' (a wall) or '' (nothing).
        """
        size = size or self.size
        passages, goal, start = self._draw_problems(key, n, size)
        if is_seen:
            passages, goal, start = draw_from_bank(derive_key(key, "which"), self.bank_tasks, n)
        elif has_loops:
            passages = mazes.remove_walls(derive_key(key, "loops"), passages, LOOP_SHARE)
        later_passages, later_goal, half = passages, goal, self.horizon // 2
        if revalued_part:
            start = start.at[:, half].set(start[:, half - 1])  # the same start before and after the change
        if revalued_part == "map":
            later_passages = mazes.move_wall(derive_key(key, "wall"), mazes.Problem(passages, goal), start[:, half])
        elif revalued_part == "worth":
            later_goal = mazes.draw_other_goal(derive_key(key, "moved"), mazes.Problem(passages, goal), start[:, half])
            after_change = np.arange(self.horizon) >= half
            start = jnp.where(after_change & (start == later_goal[:, None]), (start + 1) % size**2, start)
        problems = [mazes.Problem(passages, goal), mazes.Problem(later_passages, later_goal)]
        return self._make_tasks(problems, start, jnp.full(n, has_reversed_moves), size)

    def _draw_problems(self, key: jax.Array, n: int, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Draws perfect mazes [n, size, size, 2], goals [n], and starts [n, T] in cells other than the goal."""
        passages = mazes.draw_mazes(derive_key(key, "maze", size), n, size)
        goal = jax.random.randint(derive_key(key, "goal", size), (n,), 0, size**2)
        keys = jax.random.split(derive_key(key, "start", size), self.horizon)
        start = jax.vmap(lambda k: mazes.draw_other_cell(k, goal, size**2), out_axes=1)(keys)
        return passages, goal, start

    def _make_tasks(
        self, problems: list[mazes.Problem], start: jax.Array, has_reversed_moves: jax.Array, size: int
    ) -> Tasks:
        """Makes tasks from the problems before and after the change, and pads mazes of `size` to F × F cells."""
        passages = [mazes.pad_maze(p.passages, self.picture_size) for p in problems]
        goal = [mazes.renumber_cell(p.goal, size, self.picture_size) for p in problems]
        padded_problems = [mazes.Problem(o, g) for o, g in zip(passages, goal, strict=True)]
        distance = [mazes.measure_distances(p).reshape(len(start), -1) for p in padded_problems]
        start = mazes.renumber_cell(start, size, self.picture_size)
        passages, goal, distance = (jnp.stack(x, 1) for x in (passages, goal, distance))
        return Tasks(passages, goal, distance, start, has_reversed_moves)

    def read_drawing(self, text: str) -> Tasks:
        """Reads a task from a drawing in the form that `render_observation` returns; every walk starts at A.

        Raises:
            MesascopeError: the text is not a drawing of a maze, the maze has neither the size of the family nor that of
                the split 'shifted:larger', or no way leads from A to G.
        """
        passages, goal, start = mazes.parse_drawing(text)
        if len(passages) not in (self.size, self.picture_size):
            raise MesascopeError(
                f"The drawing has {len(passages)} cells on a side, {self.name} has {self.size} or {self.picture_size}.",
                f"Make a family of this size: maze:size={len(passages)}.",
            )
        problem = mazes.Problem(jnp.asarray(passages)[None], jnp.asarray([goal]))
        starts = jnp.full((1, self.horizon), start)
        return self._make_tasks([problem, problem], starts, jnp.zeros(1, bool), len(passages))

    def render_observation(self, observation: Any) -> str:
        """Draws one observation [4 F²] as text."""
        east, south, goal, cell = np.asarray(observation).reshape(4, self.picture_size, self.picture_size)
        passages = np.stack([east, south], -1) > 0.5
        size = 1 + int(np.argwhere(np.asarray(mazes.find_open_moves(jnp.asarray(passages)[None]))[0].any(-1)).max())
        return mazes.render_maze(passages, int(goal.argmax()), int(cell.argmax()), size)

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task, in the start cell of the first walk."""
        zero = jnp.zeros(len(tasks.has_reversed_moves), jnp.int32)
        state = State(zero, zero, tasks.start_cells[:, 0].astype(jnp.int32))
        return state, make_first_percept(self._observe(tasks, state))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """Moves to the next cell, unless a wall is in the way or the subject is at the goal; the last step pays."""
        rows, phase = jnp.arange(len(action)), self._compute_phase(state.trial)
        move = action ^ (2 * (tasks.has_reversed_moves & (phase > 0)))
        goal, distance = tasks.goal[rows, phase], tasks.distance[rows, phase]
        row, column = jnp.divmod(state.cell, self.picture_size)
        is_open = mazes.find_open_moves(tasks.passages[rows, phase])[rows, row, column, move]
        offset = jnp.asarray([-self.picture_size, 1, self.picture_size, -1])[move]
        cell = jnp.where(is_open & (state.cell != goal), state.cell + offset, state.cell)
        is_last_step = state.step + 1 >= self.walk_steps
        start_distance = distance[rows, tasks.start_cells[rows, state.trial]]
        share_covered = (start_distance - distance[rows, cell]) / jnp.clip(start_distance, 1, self.walk_steps)
        score = jnp.where(is_last_step, share_covered, 0.0)
        trial, step = state.trial + is_last_step, jnp.where(is_last_step, 0, state.step + 1)
        next_start = tasks.start_cells[rows, jnp.minimum(trial, self.horizon - 1)]
        state = State(trial, step, jnp.where(is_last_step, next_start, cell).astype(jnp.int32))
        return state, make_next_percept(self._observe(tasks, state), action, score, trial, step), score

    def _compute_phase(self, trial: jax.Array) -> jax.Array:
        """Returns 0 for trials in the first half of the lifetime, and 1 for later trials."""
        return (trial >= self.horizon // 2).astype(jnp.int32)

    def _observe(self, tasks: Tasks, state: State) -> jax.Array:
        """Returns the observations of all lifetimes, [N, 4 F²]."""
        rows, phase = jnp.arange(len(state.cell)), self._compute_phase(state.trial)
        n, cells = len(rows), self.picture_size**2
        passages = jnp.moveaxis(tasks.passages[rows, phase], -1, 1).reshape(n, -1).astype(jnp.float32)
        one_hot_cells = [jax.nn.one_hot(x, cells) for x in (tasks.goal[rows, phase], state.cell)]
        return jnp.concatenate([passages, *one_hot_cells], -1)

    def convert_to_images(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Converts observations to pictures [N, F, F, N_PLANES] and the subject's cells [N], for networks that plan."""
        problem, cell = mazes.parse_observation(observation)
        return mazes.render_planes(problem), cell

    def draw_problems(self, key: jax.Array, n: int) -> mazes.Problem:
        """Draws n training problems, from the bank if there is one; cells are numbered in a square of side `size`."""
        if self.bank_tasks is not None:
            return mazes.Problem(*draw_from_bank(derive_key(key, "which"), self.bank_tasks[:2], n))
        passages, goal, _ = self._draw_problems(key, n, self.size)
        return mazes.Problem(passages, goal)

    def move_goal(self, key: jax.Array, problem: mazes.Problem) -> mazes.Problem:
        """Returns the same mazes with the goals in other cells."""
        return mazes.Problem(problem.passages, mazes.draw_other_cell(key, problem.goal, problem.passages.shape[1] ** 2))

    render_planes = staticmethod(mazes.render_planes)
    find_correct_moves = staticmethod(mazes.find_correct_moves)

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents chance, best, worst, fixed, turned and goal, each [N, T].

        'turned' is 1 where moves are reversed, and 'goal' is the cell of the goal. Nothing is hidden, so 'fixed' equals
        'best' before moves are reversed. After that, 'fixed' is the better of chance and the moves that would be
        correct without the reversal.
        """
        passages, goal, distance, start, has_reversed_moves = (np.asarray(x) for x in tasks)
        phase = (np.arange(self.horizon) >= self.horizon // 2).astype(int)
        successors = mazes.find_successors(passages)
        successors = np.where(
            np.arange(self.picture_size**2)[:, None] == goal[..., None, None], goal[..., None, None], successors
        )
        rows, values = np.arange(len(start))[:, None], {}
        start_distance = distance[rows, phase, start]
        aggregates = {"chance": np.mean, "best": np.min, "worst": np.max, "blind": None}
        for name, aggregate in aggregates.items():
            ends = mazes.compute_remaining_distances(distance, successors, self.walk_steps, aggregate)[
                rows, phase, start
            ]
            values[name] = (start_distance - ends) / np.clip(start_distance, 1, self.walk_steps)
        opposite_policy_values = values.pop("blind")
        is_reversed = (has_reversed_moves[:, None] & (phase > 0)).astype(float)
        fixed = np.where(is_reversed > 0, np.maximum(opposite_policy_values, values["chance"]), values["best"])
        return {**values, "fixed": fixed, "turned": is_reversed, "goal": goal[:, phase]}

    def evaluate_consequences(self, trials: xr.Dataset, condition: str = "intact") -> ActionConsequences:
        """Evaluates each move at the first step of a walk: its value is minus the distance that remains to the goal.

        Distances are measured in the maze that the observation shows. If only one way is open, there is no choice, and
        the action is -1.

        Raises:
            MesascopeError: the trials have no observations.
        """
        observations = read_observations(trials, self.name, "Take fewer trials, shorter walks or a smaller maze.")
        observations = observations if self.walk_steps == 1 else observations[:, :, 0]
        action = trials.action.sel(condition=condition).values.astype(int)
        action = action[..., None] if self.walk_steps == 1 else action[..., :1]
        n, t = action.shape[:2]
        phase_by_trial = (np.arange(t) >= self.horizon // 2).astype(int)
        cell = observations.reshape(n, t, 4, -1)[:, :, 3].argmax(-1)
        # walls and goals change only half-way
        phases = np.stack([observations[:, 0], observations[:, self.horizon // 2]], 1)
        problem, _ = mazes.parse_observation(phases.reshape(2 * n, -1))
        distance = np.asarray(mazes.measure_distances(problem)).reshape(n, 2, -1)
        successors = mazes.find_successors(np.asarray(problem.passages)).reshape(n, 2, -1, 4)
        i = np.arange(n)[:, None]

        def compute_values(phase):
            ends = successors[i, phase, cell]
            return -distance[i[..., None], phase[..., None], ends].astype(float)[:, :, None]

        values, earlier_values = (
            compute_values(phase_by_trial[None]),
            compute_values(np.concatenate([[0], phase_by_trial[:-1]])[None]),
        )
        earlier_values[:, 0] = np.nan
        open_way_counts = (successors[i, phase_by_trial[None], cell] != cell[..., None]).sum(-1)
        action = np.where(open_way_counts[..., None] > 1, action, -1)
        depth = np.maximum(distance[i, phase_by_trial[None], cell], 1)
        # distances are rounded down to a power of two, because too few lifetimes have exactly the same distance
        ahead_doublings = 1 << np.floor(np.log2(depth)).astype(int)
        change_is_shown = ~(trials.turned.values > 0) if "turned" in trials else np.ones((n, t), bool)
        problem_count = mazes.count_problems(self.size)
        if self.bank_tasks is not None and str(trials.attrs["split"]) == "seen":
            problem_count = float(len(self.bank_tasks[1]))
        depths = ahead_doublings[..., None]
        return ActionConsequences(
            action,
            values,
            earlier_values,
            change_is_shown,
            depths,
            problem_count,
            has_goal=True,
            useful_action_counts=open_way_counts[..., None],
        )

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Returns the percept with the sign of the last pay-off flipped."""
        return percept._replace(feedback=-percept.feedback)


@keep_settings(trials=(4, 100_000), bank=(0, 10_000))
def family(size: int = 9, steps: int = 1, trials: int = 8, bank: int = 0, bank_seed: int = 0) -> Maze:
    """The subject sees a whole perfect maze, its own cell and the goal; to choose the way, it must look ahead.

    Args:
        size: the number of cells on a side, an odd number from 5 to 33.
        steps: S, the number of steps in a walk. The pay-off of a walk is the number of steps by which the subject comes
            nearer to the goal, divided by the distance at the start or, if that is more than S, by S.
        trials: T, the number of walks in a lifetime, at least 4.
        bank: M, the number of training mazes, each with a goal and the starts of its walks; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    if size % 2 == 0 or not MIN_SIZE <= size <= MAX_SIZE:
        reason = "is even" if MIN_SIZE <= size <= MAX_SIZE else "is out of range"
        raise MesascopeError(
            f"size={size} {reason}: a maze has from {MIN_SIZE} to {MAX_SIZE} cells on a side; "
            "larger mazes do not fit into memory.",
            f"Give an odd number from {MIN_SIZE} to {MAX_SIZE}.",
        )
    if steps < 1:
        raise MesascopeError(f"steps={steps}: a walk needs at least one step.", f"Give a number from 1 to {MAX_STEPS}.")
    check_range(1, MAX_STEPS, steps=steps)
    numbers = trials * steps * 4 * (size + EXTRA_CELLS) ** 2
    check_memory(numbers, f"{trials:,} walks of {steps} steps", "Give fewer trials, shorter walks or a smaller maze.")
    result = Maze(size, walk_steps=steps, choices=4, horizon=trials)
    if not bank:
        return result
    bank_tasks = result._draw_problems(derive_key(jax.random.key(bank_seed), "bank"), bank, size)
    return dataclasses.replace(result, bank_tasks=bank_tasks)
