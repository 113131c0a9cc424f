"""Every trial shows one of S cues; a hidden table gives the correct one of K actions for each cue.

To choose the correct actions, a subject needs S log2 K bits about its task: 32 with the default settings, against 2.3
in a bandit with five arms. The observation is the current cue [S], the previous cue [S] and, with outcome=right, the
action [K] that is shown as correct for the previous cue, each one-hot.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import ConfiguredFamily, Split, draw_from_bank, keep_settings, make_reference_roles
from mesascope.contracts.percept import Percept, exchange_earlier_events, make_first_percept, make_next_percept
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

DRIFT_RATE = 0.2  # on the split with drift, the expected number of cues per trial whose correct action changes


class Tasks(NamedTuple):
    """The tasks of N lifetimes.

    Attributes:
        cues: [N, T + 1] the cue of each trial; the last one is shown but never answered.
        correct_action: [N, T] the correct action for the cue of each trial.
        shown_action: [N, T] the action that is shown as correct after each trial, with outcome=right.
        payoffs: [N, 2] low and high (see `family`), which are closer together on the split 'shifted:faint'.
        tables: [N, T, S] the correct actions for all cues on each trial.
    """

    cues: jax.Array
    correct_action: jax.Array
    shown_action: jax.Array
    payoffs: jax.Array
    tables: jax.Array


class Associations(ConfiguredFamily):
    """Cues with one correct action each; see `family` for the settings."""

    n_cues: int
    spare_cues: int
    outcome: str
    run_length: int
    payoffs: jax.Array  # [2] the settings low and high
    bank_tables: jax.Array | None  # [M, S]

    controls: ClassVar = {"learner": "associator", "lookalike": "last_cues", "still": "uniform"}
    references: ClassVar = make_reference_roles(
        "associator", "associator:discount=0.97", "table_locator", strongest="associator:greedy=True"
    )

    @property
    def has_full_feedback(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the subject is shown the correct action, whichever action it takes."""
        return self.outcome == "right"

    @property
    def slots(self) -> int:
        """The number of cues that the observation has room for."""
        return self.n_cues + self.spare_cues

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits.

        On splits with a `part_count`, the correct actions for different cues are independent, so the bits about the
        cues can be summed.
        """
        split, half, parts = self.make_split, self.horizon // 2, self.n_cues
        more_cues = (split("restructured:more", part_count=self.slots, cues=self.slots),) if self.spare_cues else ()
        return (
            *(() if self.bank_tables is None else (split("seen", draw_table=self._draw_bank_table),)),
            split("fresh", part_count=parts),
            split("shifted:faint", part_count=parts, is_faint=True),
            split("exchanged:actions", change_trial=half, part_count=parts, shift_trial=half),
            split("restructured:rule", draw_table=self._draw_rule_table),
            split("restructured:shared", draw_table=self._draw_shared_table),
            *more_cues,
            split("restructured:drift", is_counted=False, part_count=parts, is_drifting=True, has_drift=True),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        draw_table: Callable[[jax.Array, int], jax.Array] | None = None,
        cues: int = 0,
        is_faint: bool = False,
        shift_trial: int | None = None,
        has_drift: bool = False,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key of all draws.
            n: the number of tasks.
            draw_table: a function of a key and n that draws the correct action for each cue, [n, S]; None for uniform
                draws.
            cues: the number of cues that occur; 0 for the family's number.
            is_faint: whether pay-offs lie half-way between their usual and uninformative values.
            shift_trial: the first trial on which all correct actions are moved on by the same random number, modulo K;
                None for no shift.
            has_drift: whether the correct actions for single cues change from time to time.
        """
        n_cues, k, t = cues or self.n_cues, self.choices, self.horizon
        right_actions = draw_table(key, n) if draw_table else _draw_table(key, n, n_cues, k)
        cue = jax.random.randint(derive_key(key, "cue"), (n, t + 1), 0, n_cues)
        if self.run_length:  # in the second half every cue is repeated for some trials; the first run may begin before
            trial, half = jnp.arange(t + 1), t // 2
            phase = jax.random.randint(derive_key(key, "phase"), (n, 1), 0, self.run_length)
            run_start = (trial - half + phase) // self.run_length * self.run_length - phase
            cue = jnp.take_along_axis(cue, jnp.where(trial >= half, half + jnp.maximum(run_start, 0), trial), 1)
        tables = jnp.broadcast_to(right_actions[:, None], (n, t, right_actions.shape[1]))
        if shift_trial is not None:
            step = jax.random.randint(derive_key(key, "step"), (n, 1, 1), 1, k)
            tables = jnp.where((jnp.arange(t) >= shift_trial)[None, :, None], (tables + step) % k, tables)
        if has_drift:
            is_redrawn = jax.random.bernoulli(derive_key(key, "anew"), DRIFT_RATE / n_cues, tables.shape)
            shift = jax.random.randint(derive_key(key, "move"), tables.shape, 1, k)
            shift = jnp.where(is_redrawn.at[:, 0].set(False), shift, 0)
            tables = (tables + jnp.cumsum(shift, 1)) % k
        correct_action = jnp.take_along_axis(tables, cue[:, :t, None], 2)[..., 0]
        payoffs = jnp.broadcast_to(self.payoffs, (n, 2))
        if is_faint:
            uninformative_payoffs = 1.0 / k if self.outcome == "right" else payoffs.mean(1, keepdims=True)
            payoffs = 0.5 * payoffs + 0.5 * uninformative_payoffs
        shows_wrong = jax.random.uniform(derive_key(key, "wrong"), (n, t)) < payoffs[:, :1] * (k - 1)
        other = (correct_action + jax.random.randint(derive_key(key, "other"), (n, t), 1, k)) % k
        return Tasks(cue, correct_action, jnp.where(shows_wrong, other, correct_action), payoffs, tables)

    def _draw_bank_table(self, key: jax.Array, n: int) -> jax.Array:
        """Draws tables [n, S] from the bank."""
        return draw_from_bank(derive_key(key, "table"), self.bank_tables, n)

    def _draw_rule_table(self, key: jax.Array, n: int) -> jax.Array:
        """Draws correct actions [n, S] that follow a random rule (a · cue + b) mod K."""
        a = jax.random.randint(derive_key(key, "a"), (n, 1), 1, self.choices)
        b = jax.random.randint(derive_key(key, "b"), (n, 1), 0, self.choices)
        return (a * jnp.arange(self.n_cues) + b) % self.choices

    def _draw_shared_table(self, key: jax.Array, n: int) -> jax.Array:
        """Draws correct actions [n, S]; cues 0 and 1, 2 and 3, and so on share their correct action."""
        return _draw_table(key, n, self.n_cues, self.choices)[:, jnp.arange(self.n_cues) // 2 * 2]

    def _observe(self, tasks: Tasks, trial: jax.Array) -> jax.Array:
        """Makes the observation [N, D] before the trials `trial` [N]."""
        rows, last, has_last = jnp.arange(len(trial)), jnp.maximum(trial - 1, 0), (trial > 0)[:, None]
        cue, last_cue = (jax.nn.one_hot(tasks.cues[rows, at], self.slots) for at in (trial, last))
        parts = [cue, has_last * last_cue]
        if self.outcome == "right":
            parts.append(has_last * jax.nn.one_hot(tasks.shown_action[rows, last], self.choices))
        return jnp.concatenate(parts, -1)

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task; the state is the index of the trial [N]."""
        zero = jnp.zeros(len(tasks.cues), jnp.int32)
        return zero, make_first_percept(self._observe(tasks, zero))

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Takes one action in each lifetime, as the answer to the current cue."""
        rows = jnp.arange(len(action))
        is_right = action == tasks.correct_action[rows, state]
        if self.outcome == "right":
            feedback = (action == tasks.shown_action[rows, state]).astype(jnp.float32)
            wrong = tasks.payoffs[:, 0]
            score = jnp.where(is_right, 1.0 - wrong * (self.choices - 1), wrong)
        else:
            score = tasks.payoffs[rows, is_right.astype(jnp.int32)]
            feedback = (jax.random.uniform(key, action.shape) < score).astype(jnp.float32)
        return state + 1, make_next_percept(self._observe(tasks, state + 1), action, feedback, state + 1), score

    def compute_action_values(
        self, tasks: Tasks, split: str, observation: np.ndarray, action: np.ndarray
    ) -> np.ndarray:
        """Computes the pay-off above chance of actions on each of M tasks, [N, T, M], given the observed cues."""
        correct_action = self.find_best_actions(tasks, split, observation)
        low, high = self._list_payoffs(tasks)
        is_right = correct_action == (action[..., None] if action.ndim == 2 else action)
        return (high - low) * (is_right - 1.0 / self.choices)

    def find_best_actions(self, tasks: Tasks, split: str, observation: np.ndarray) -> np.ndarray:
        """Finds the correct action [N, T, M] on each of M tasks for the cues in the observations [N, T, D]."""
        cue = observation[..., : self.slots].argmax(-1)
        tables = np.moveaxis(np.asarray(tasks.tables), 0, -1)  # [T, S, M]
        return tables[np.arange(cue.shape[1]), cue]

    def _list_payoffs(self, tasks: Tasks) -> tuple[np.ndarray, np.ndarray]:
        """Lists the expected pay-offs of a wrong action and of the correct one, [M] each."""
        low, high = np.asarray(tasks.payoffs, float).T
        return (low, 1.0 - low * (self.choices - 1)) if self.outcome == "right" else (low, high)

    def mark_as_first(self, percept: Percept, start: Percept) -> Percept:
        """Marks a percept as first: it then shows the current cue, but nothing of earlier trials."""
        xp = np if isinstance(percept.observation, np.ndarray) else jnp
        cue, rest = percept.observation[:, : self.slots], percept.observation[:, self.slots :]
        return start._replace(observation=xp.concatenate([cue, xp.zeros_like(rest)], -1))

    def read_target(self, percept: Percept):
        """Reads the action [N] that was shown as correct for the previous cue; None if only pay-offs are shown."""
        return percept.observation[:, 2 * self.slots :].argmax(-1) if self.outcome == "right" else None

    def with_outcome(self, percept: Percept, feedback: Any, observation: Any) -> Percept:
        """Replaces the last outcome in a percept with another lifetime's: the pay-off, or the action shown as correct.

        With outcome=right, the feedback then says whether the subject's own action is the one that is shown.
        """
        if self.outcome != "right":
            return percept._replace(feedback=feedback)
        at = 2 * self.slots
        shown = jnp.concatenate([percept.observation[:, :at], observation[:, at:]], -1)
        matches = percept.action == observation[:, at:].argmax(-1)
        return percept._replace(observation=shown, feedback=matches.astype(jnp.float32))

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Replaces the last pay-off with the opposite one, or the action shown as correct with the action after it.

        On odd trials, the previous cue is also replaced by the next cue in order.
        """
        xp = np if isinstance(percept.observation, np.ndarray) else jnp
        opposite_percept, at = percept._replace(feedback=1.0 - percept.feedback), 2 * self.slots
        if self.outcome == "right":
            next_action = xp.roll(percept.observation[:, at:], 1, -1)
            opposite_percept = self.with_outcome(
                percept, None, xp.concatenate([percept.observation[:, :at], next_action], -1)
            )
        cue, last, right = (
            opposite_percept.observation[:, i:j] for i, j in ((0, self.slots), (self.slots, at), (at, None))
        )
        return exchange_earlier_events(opposite_percept, xp.concatenate([cue, xp.roll(last, 1, -1), right], -1))

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Computes part, the cue; right, its correct action; and chance, best, worst and fixed, each [N, T]."""
        right, cue, k = np.asarray(tasks.correct_action), np.asarray(tasks.cues)[:, :-1], self.choices
        low, high = (payoff[:, None] for payoff in self._list_payoffs(tasks))
        ones = np.ones(right.shape)
        chance = (high + (k - 1) * low) / k * ones
        fixed = chance
        if split == "seen":
            bank = np.asarray(self.bank_tables)
            most_frequent = np.stack([(bank == action).sum(0) for action in range(k)]).argmax(0)  # [S]
            fixed = np.where(most_frequent[cue] == right, high, low)
        extremes = {"chance": chance, "best": high * ones, "worst": low * ones, "fixed": fixed}
        return {"part": cue, "right": right, **extremes}

    def describe_step(self, action: int, feedback: float) -> str:
        """Describes one trial in words."""
        return f"answered {action + 1} of {self.choices}, got {feedback:g}"


def _draw_table(key: jax.Array, n: int, cues: int, actions: int) -> jax.Array:
    """Draws correct actions [n, S] uniformly and independently."""
    return jax.random.randint(derive_key(key, "table"), (n, cues), 0, actions)


@keep_settings(
    cues=(2, 64),
    actions=(2, 26),
    trials=(4, 100_000),
    **dict.fromkeys(("high", "low"), (0.0, 1.0)),
    outcome=("right", "payoff"),
    run_length=(0, 1000),
    spare_cues=(0, 64),
    bank=(0, 1_000_000),
)
def family(
    cues: int = 16,
    actions: int = 4,
    trials: int = 64,
    high: float = 1.0,
    low: float = 0.0,
    outcome: str = "right",
    run_length: int = 4,
    spare_cues: int = 0,
    bank: int = 0,
    bank_seed: int = 0,
) -> Associations:
    """Each of S cues has one correct action among K; a hidden table, drawn for every lifetime, gives this action.

    Args:
        cues: S, the number of cues, at least 2.
        actions: K, the number of actions, at least 2.
        trials: T, the number of trials, at least 4.
        high: with outcome=payoff, the probability that the correct action pays, at least .001 above `low`.
        low: with outcome=payoff, the probability that any other action pays; with outcome=right, the probability that
            a particular wrong action is shown as the correct one.
        outcome: what is shown after each trial: 'right', the correct action; or 'payoff', only the pay-off of the
            subject's action.
        run_length: the number of trials in a row with the same cue in the second half; 0 for no repetition.
        spare_cues: the number of extra cues that the observation has room for. They occur only on restructured:more.
        bank: M, the number of training tables; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    if outcome == "payoff" and high - low < 1e-3:
        raise MesascopeError(f"high={high} is not at least 0.001 above low={low}.", "Give e.g. high=0.9,low=0.1.")
    if outcome == "right" and low * actions > 1 - 1e-3:
        raise MesascopeError(f"low={low} hides which of {actions} actions is correct.", "Give e.g. low=0.05.")
    tables = _draw_table(derive_key(jax.random.key(bank_seed), "bank"), bank, cues, actions) if bank else None
    payoffs = jnp.asarray([low, high], jnp.float32)
    return Associations(cues, spare_cues, outcome, run_length, payoffs, tables, choices=actions, horizon=trials)
