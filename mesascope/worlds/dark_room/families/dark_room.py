"""A dark room with a hidden goal: a trial starts in a random cell, and every step on the goal pays 1.

After the Dark Room and the Dark Key-to-Door of Laskin et al. (2022, arXiv 2210.14215). An action names the cell that
the subject heads for, and every step leads to one of the eight neighbours, towards that cell. So the first action of a
trial, before any outcome, says where the subject believes the goal to be: log2 81 = 6.3 bits in a room of 9 by 9 cells.
With several goals, one pays on each trial, in turn (such as a key, then a door), and the bits about them add up.
"""

import functools
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import (
    ConfiguredFamily,
    Percept,
    Split,
    check_memory,
    keep_settings,
    make_first_percept,
    make_next_percept,
    make_reference_roles,
)
from mesascope.keys import derive_key

MOVE_RATE = 1 / 16  # the probability per trial that a goal moves on the split 'restructured:drift'


class Tasks(NamedTuple):
    """goals [N, T, G], the cell of each goal on every trial; start_cells [N, T + 1], the first cell of every trial."""

    goals: jax.Array
    start_cells: jax.Array


class State(NamedTuple):
    """cell [N], the position; past_steps [N], the number of past steps."""

    cell: jax.Array
    past_steps: jax.Array


class DarkRoom(ConfiguredFamily):
    """A room with hidden goals; see `family` for the settings.

    Cells are numbered row by row. The observation [N, 2 · size + G] is the row and the column of the subject's cell,
    each one-hot, and which goal pays on this trial, one-hot. A bank consists of the cells of goals [M, G].
    """

    size: int
    trial_steps: int
    n_goals: int
    feedback_trials: int

    controls: ClassVar = {"learner": "room_learner", "lookalike": "room_reflex", "still": "room_reflex:window=0"}
    references: ClassVar = make_reference_roles(
        "room_learner", "room_learner:discount=0.8", "room_locator", against_setting=""
    )

    @property
    def steps(self) -> int:
        """S, the number of steps in a trial."""
        return self.trial_steps

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits.

        Apart from seen and fresh goals, these are goals in one quarter of the room, goals that move half-way through a
        lifetime, goals on the diagonal, and goals that move from time to time.
        """
        half, parts = self.horizon // 2, {"part_count": self.n_goals, "digit_bases": (self.size, self.size)}
        return (
            *(() if self.bank_tasks is None else (self.make_split("seen", is_seen=True),)),
            self.make_split("fresh", **parts),
            self.make_split("shifted:quarter", rows=(self.size + 1) // 2),
            self.make_split("exchanged:goals", change_trial=half, move_trial=half, **parts),
            self.make_split("restructured:diagonal", is_diagonal=True),
            self.make_split("restructured:drift", is_drifting=True, has_drift=True, **parts),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        is_seen: bool = False,
        rows: int = 0,
        is_diagonal: bool = False,
        move_trial: int | None = None,
        has_drift: bool = False,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key of all draws.
            n: the number of tasks.
            is_seen: whether the goals come from the bank.
            rows: the number of rows from the top, and of columns from the left, in which goals may lie; 0 for all.
            is_diagonal: whether the column of each goal is the same as its row.
            move_trial: the first trial on which every goal lies in another cell; None for no such move.
            has_drift: whether goals move to another cell from time to time.
        """
        cells, trials = self.size**2, self.horizon
        coordinates = jax.random.randint(derive_key(key, "goal"), (2, n, self.n_goals), 0, rows or self.size)
        goals = coordinates[0] * self.size + coordinates[0 if is_diagonal else 1]
        if is_seen:
            goals = self.bank_tasks[jax.random.randint(derive_key(key, "which"), (n,), 0, len(self.bank_tasks))]
        step = jax.random.randint(derive_key(key, "step"), (n, trials, self.n_goals), 1, cells)
        has_moved = (
            jnp.zeros((1, trials, 1), bool) if move_trial is None else (jnp.arange(trials) == move_trial)[:, None]
        )
        if has_drift:
            has_moved = jax.random.bernoulli(derive_key(key, "moves"), MOVE_RATE, step.shape).at[:, 0].set(False)
        start = jax.random.randint(derive_key(key, "start"), (n, trials + 1), 0, cells)
        return Tasks((goals[:, None] + jnp.cumsum(has_moved * step, 1)) % cells, start)

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task, in the first cell of the first trial."""
        zero, cell = jnp.zeros(len(tasks.start_cells), jnp.int32), tasks.start_cells[:, 0]
        return State(cell, zero), make_first_percept(self._observe(cell, zero))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """Goes one step towards the cell that the action names; after the last step the next trial begins."""
        rows, trial = jnp.arange(len(action)), state.past_steps // self.trial_steps
        cell = jnp.asarray(tabulate_moves(self.size))[state.cell, action]
        score = (cell == tasks.goals[rows, trial, trial % self.n_goals]).astype(jnp.float32)
        feedback = jnp.where(trial < self.feedback_trials, score, 0.0)
        past_steps = state.past_steps + 1
        trial, step = past_steps // self.trial_steps, past_steps % self.trial_steps
        cell = jnp.where(step == 0, tasks.start_cells[rows, trial], cell)
        return (
            State(cell, past_steps),
            make_next_percept(self._observe(cell, trial), action, feedback, trial, step),
            score,
        )

    def _observe(self, cell: jax.Array, trial: jax.Array) -> jax.Array:
        """Makes the observation [N, 2 · size + G] of each subject from its cell [N] and trial [N]; see the class."""
        row, column = (jax.nn.one_hot(x, self.size) for x in jnp.divmod(cell, self.size))
        return jnp.concatenate([row, column, jax.nn.one_hot(trial % self.n_goals, self.n_goals)], -1)

    def _list_paying_cells(self, tasks: Tasks) -> np.ndarray:
        """Lists the cell [N, T] of the goal that pays on each trial."""
        trial = np.arange(self.horizon)
        return np.asarray(tasks.goals)[:, trial, trial % self.n_goals]

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Computes right, the cell of the goal that pays, and chance, best, worst and fixed, each [N, T].

        'fixed' is the pay-off of always heading for one cell: on the split 'seen' the bank's most frequent goal, and on
        other splits cell 0.
        """
        right, start = self._list_paying_cells(tasks), np.asarray(tasks.start_cells)[:, :-1]
        best = self.trial_steps + 1 - np.maximum(measure_distances(self.size)[start, right], 1)
        target = np.bincount(np.asarray(self.bank_tasks).ravel()).argmax() if split == "seen" else 0
        cell, fixed = start, np.zeros(right.shape)
        for _ in range(self.trial_steps):
            cell = tabulate_moves(self.size)[cell, target]
            fixed += cell == right
        chance = compute_random_walk_chances(self.size, self.trial_steps)[start, right]
        return {"right": right, "chance": chance, "best": best, "worst": np.zeros_like(chance), "fixed": fixed}

    def compute_action_values(
        self, tasks: Tasks, split: str, observation: np.ndarray, action: np.ndarray
    ) -> np.ndarray:
        """Computes the worth of first heading for the cell `action` on each of M tasks, [N, T, M]."""
        row, column = (observation[..., i * self.size : (i + 1) * self.size].argmax(-1) for i in (0, 1))
        cell = (row * self.size + column)[..., None]
        value = np.maximum(self.trial_steps - measure_distances(self.size), 0)  # [cell after the step, goal]
        mean = value[tabulate_moves(self.size)].mean(1)  # [cell, goal]
        goal, action = self._list_paying_cells(tasks).T, action[..., None] if action.ndim == 2 else action
        return value[tabulate_moves(self.size)[cell, action], goal] - mean[cell, goal]

    def find_best_actions(self, tasks: Tasks, split: str, observation: np.ndarray) -> np.ndarray:
        """Finds the cell [N, T, M] of the goal that pays on each of M tasks."""
        goal = self._list_paying_cells(tasks).T
        return np.broadcast_to(goal, (len(observation), *goal.shape))

    def describe_step(self, action: int, feedback: float) -> str:
        """Describes one step in words."""
        return f"headed for row {action // self.size + 1}, column {action % self.size + 1}, got {feedback:g}"


@functools.cache
def measure_distances(size: int) -> np.ndarray:
    """Computes the number of steps from each cell to each other cell, [cells, cells]."""
    positions = np.stack(np.divmod(np.arange(size**2), size), -1)
    return np.abs(positions[:, None] - positions).max(-1)


@functools.cache
def tabulate_moves(size: int) -> np.ndarray:
    """Tabulates the cell that one step from each cell towards each other cell leads to, [cells, cells]."""
    positions = np.stack(np.divmod(np.arange(size**2), size), -1)
    next_positions = positions[:, None] + np.sign(positions - positions[:, None])
    return next_positions[..., 0] * size + next_positions[..., 1]


@functools.cache
def compute_random_walk_chances(size: int, steps: int) -> np.ndarray:
    """Computes the expected pay-off of a trial of uniformly random actions by start cell and goal, [cells, cells]."""
    kernel = np.zeros((size**2, size**2))
    np.add.at(kernel, (np.arange(size**2)[:, None], tabulate_moves(size)), 1 / size**2)
    probability, total = np.eye(size**2), np.zeros_like(kernel)
    for _ in range(steps):
        probability = probability @ kernel
        total += probability
    return total


@keep_settings(
    size=(2, 16), goals=(1, 8), trials=(2, 10_000), steps=(2, 64), feedback_trials=(0, 10_000), bank=(0, 1_000_000)
)
def family(
    size: int = 9,
    goals: int = 1,
    trials: int = 32,
    steps: int = 8,
    feedback_trials: int = 0,
    bank: int = 0,
    bank_seed: int = 0,
) -> DarkRoom:
    """A dark room with a hidden goal; an action names the cell to head for, and every step on the goal pays 1.

    Args:
        size: the side of the room; a subject chooses among size · size cells.
        goals: G, the number of hidden goals, one of which pays on each trial, in turn; 2 for a key and a door.
        trials: T, the number of trials, each of which starts in a random cell.
        steps: S, the number of steps in a trial.
        feedback_trials: the number of trials at the start that show their pay-offs, after which feedback is 0; 0 if all
            do. On every trial with feedback, a subject that has found a goal sees the goal's pay-off again. So a
            subject needs older trials only if this number is small, or if there are more goals than trials that a
            reflex remembers.
        bank: M, the number of training tasks, each with a cell for every goal; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    check_memory(trials * steps * (2 * size + goals), f"{trials:,} trials of {steps} steps", "Give fewer trials.")
    bank_cells = jax.random.randint(derive_key(jax.random.key(bank_seed), "bank"), (bank, goals), 0, size**2)
    return DarkRoom(
        size,
        steps,
        goals,
        feedback_trials or trials,
        choices=size**2,
        horizon=trials,
        bank_tasks=bank_cells if bank else None,
    )
