"""Prefix sums: the subject sees a row of bits and a place in the row, and says whether the sum up to the place is odd.

A subject that adds bit by bit needs more ticks for a farther place (Schwarzschild et al. 2021). The task has no
alternatives whose values a search could compare. So a subject that gains from more ticks on this task uses them to
compute, but not to search.
"""

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.contracts import ActionConsequences, ConfiguredFamily, Split, check_memory, keep_settings
from mesascope.contracts.percept import Percept, make_first_percept, make_next_percept
from mesascope.keys import derive_key

MAX_LENGTH = 512


class Tasks(NamedTuple):
    """N sequences of T rows.

    Attributes:
        bits: [N, T, L] the bits of each row.
        place: [N, T] the index of the last bit that counts in the sum.
        is_exchanged: [N, T] whether the two answers are exchanged.
    """

    bits: jax.Array
    place: jax.Array
    is_exchanged: jax.Array


class PrefixSums(ConfiguredFamily):
    """Running sums; see `family` for the settings. An observation [N, L + 1] consists of the bits and the place."""

    episode_steps: int

    controls: ClassVar = {"learner": "running_sums", "lookalike": "win_stay_lose_shift", "still": "uniform"}
    # the observation shows everything else, so a subject can acquire only that the answers are exchanged
    references: ClassVar = dict.fromkeys(("learner", "discounting", "locator"), "running_sums:bits=512")

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen, fresh, places in the second half, exchanged answers, and rows with few ones."""
        split, half = self.make_split, self.horizon // 2
        return (
            *self.make_seen_split(),
            split("fresh"),
            split("shifted:farther", is_farther=True),
            split("exchanged:answers", change_trial=half, exchange_trial=half),
            split("restructured:sparse", density=0.15),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        density: float = 0.5,
        is_farther: bool = False,
        exchange_trial: float = math.inf,
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key for all draws.
            n: the number of tasks.
            density: the probability that a bit is 1.
            is_farther: whether the place is in the second half of the row, instead of the first.
            exchange_trial: the first trial on which the two answers are exchanged; infinite if they never are.
        """
        shape, half = (n, self.horizon), self.episode_steps // 2
        bits = jax.random.bernoulli(derive_key(key, "bits"), density, (*shape, self.episode_steps)).astype(jnp.int32)
        low, high = (half, self.episode_steps) if is_farther else (0, half)
        place = jax.random.randint(derive_key(key, "place"), shape, low, high)
        is_exchanged = jnp.arange(self.horizon) >= exchange_trial
        return Tasks(bits, place, jnp.broadcast_to(is_exchanged, shape))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task; the hidden state is the trial index [N]."""
        zero = jnp.zeros(len(tasks.place), jnp.int32)
        return zero, make_first_percept(self._observe(tasks, zero))

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Scores each answer: 1 if the answer is correct, else 0."""
        rows = jnp.arange(len(action))
        is_included = jnp.arange(self.episode_steps) <= tasks.place[rows, state][:, None]
        parity = (tasks.bits[rows, state] * is_included).sum(-1) % 2
        correct_answer = parity ^ tasks.is_exchanged[rows, state].astype(jnp.int32)
        score = (action == correct_answer).astype(jnp.float32)
        observation = self._observe(tasks, jnp.minimum(state + 1, self.horizon - 1))
        return state + 1, make_next_percept(observation, action, score, state + 1), score

    def _observe(self, tasks: Tasks, trial: jax.Array) -> jax.Array:
        """Returns the observations [N, L + 1] on the given trials [N]."""
        rows = jnp.arange(len(trial))
        place = tasks.place[rows, trial][:, None]
        return jnp.concatenate([tasks.bits[rows, trial], place], -1).astype(jnp.float32)

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents chance, best, worst and fixed, each [N, T].

        'fixed' is 1 on every trial, because the observation shows the row.
        """
        one = np.ones(tasks.place.shape)
        return {"chance": 0.5 * one, "best": one, "worst": 0 * one, "fixed": one}

    def evaluate_consequences(self, trials: xr.Dataset, condition: str = "intact") -> ActionConsequences:
        """Evaluates the answers: 1 for the sum's parity, 0 for the other; the depth is the number of bits to add."""
        observations = trials.observation.sel(condition="intact").values
        bits, place = observations[..., :-1], observations[..., -1].astype(int)
        parity = (bits * (np.arange(self.episode_steps) <= place[..., None])).sum(-1).astype(int) % 2
        values = (np.arange(2) == parity[..., None]).astype(float)[:, :, None]
        action = trials.action.sel(condition=condition).values.astype(int)[..., None]
        is_observed = np.ones(action.shape[:2], bool)
        size = 2.0 ** min(self.episode_steps, 1000) * self.episode_steps
        return ActionConsequences(
            action, values, np.full_like(values, np.nan), is_observed, place[..., None] + 1, size, has_goal=False
        )


@keep_settings(length=(2, MAX_LENGTH), trials=(4, 100_000), bank=(0, 10_000))
def family(length: int = 16, trials: int = 20, bank: int = 0, bank_seed: int = 0) -> PrefixSums:
    """The subject sees a row of bits and a place in the row, and says whether the sum up to the place is odd.

    Args:
        length: L, the number of bits in a row; in training the place is in the first half of the row.
        trials: T, the number of rows in a lifetime, at least 4.
        bank: M, the number of training tasks, each with all rows of a lifetime; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    check_memory(trials * (length + 1), f"{trials:,} rows of {length} bits", "Give fewer trials or shorter rows.")
    return PrefixSums(length, choices=2, horizon=trials).with_fresh_bank(bank, bank_seed)
