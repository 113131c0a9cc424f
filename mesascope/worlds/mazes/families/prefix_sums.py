"""A row of bits is shown, and a place in it: is the sum of the bits up to there odd?

The work goes on bit by bit, so it takes more ticks the farther the place (Schwarzschild et al. 2021), and there is
nothing to pursue: no candidates, and no worth to choose among them by. Whoever gains from computation here does not
search by that.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.contracts.family import Family, Percept, parse_bank
from mesascope.contracts.percept import born, fits, named, told, whole
from mesascope.contracts.plans import Plans
from mesascope.errors import unknown
from mesascope.keys import address

LONGEST = 512


class Tasks(NamedTuple):
    """bits [N, T, L] and the place that is asked [N, T]; flip [N, T] whether the answers are exchanged."""

    bits: jax.Array
    place: jax.Array
    flip: jax.Array


class PrefixSums(Family):
    """Asks for running sums; an observation [N, L + 1] shows the bits and the place, see `family`."""

    name: str
    choices: int
    horizon: int
    length: int
    bank_name: str | None
    bank_bits: jax.Array | None  # [M, T, L]
    bank_place: jax.Array | None  # [M, T]

    controls: ClassVar = {"learner": "running_sums", "lookalike": "win_stay_lose_shift", "still": "uniform"}
    identity: ClassVar = ("name", "bank_name")

    @property
    def references(self) -> dict[str, str]:
        """Reference procedures by role; nothing can be acquired but that answers are exchanged."""
        return {
            "learner": "running_sums:bits=512",
            "discounting": "running_sums:bits=512",
            "locator": "running_sums:bits=512",
        }

    def splits(self) -> tuple[str, ...]:
        """All splits: places in the farther half of the row, answers exchanged half-way, rows of few ones."""
        counted = ("fresh", "shifted:farther", "exchanged:answers", "restructured:sparse")
        return (*(("seen",) if self.bank_bits is not None else ()), *counted)

    def banked(self, bank: str | None) -> PrefixSums:
        """The same rows with another bank, or with none."""
        size, seed = parse_bank(bank) if bank else (0, 0)
        return family(self.length, self.horizon, size, seed)

    def trials(self, split: str) -> int:
        """T on every split."""
        return self.horizon

    def changes(self, split: str) -> int | None:
        """Half-way on the exchanged split."""
        return self.horizon // 2 if split.startswith("exchanged") else None

    def draw(self, key: jax.Array, n: int, split: str) -> Tasks:
        """Draws n tasks of a split."""
        if split not in self.splits():
            raise unknown("split", split, self.splits())
        shape, half = (n, self.horizon), self.length // 2
        ones = 0.15 if split == "restructured:sparse" else 0.5
        bits = jax.random.bernoulli(address(key, "bits"), ones, (*shape, self.length)).astype(jnp.int32)
        place = jax.random.randint(address(key, "place"), shape, 0, half)
        if split == "shifted:farther":
            place = jax.random.randint(address(key, "place"), shape, half, self.length)
        elif split == "seen":
            assert self.bank_bits is not None and self.bank_place is not None
            which = jax.random.randint(address(key, "which"), (n,), 0, len(self.bank_bits))
            bits, place = self.bank_bits[which], self.bank_place[which]
        late = jnp.arange(self.horizon) >= self.horizon // 2
        return Tasks(bits, place, jnp.broadcast_to(late & (split == "exchanged:answers"), shape))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task; the hidden state is the trial index [N]."""
        zero = jnp.zeros(len(tasks.place), jnp.int32)
        return zero, born(self._shown(tasks, zero))

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Answers once: 1 where it is right."""
        rows = jnp.arange(len(action))
        odd = (tasks.bits[rows, state] * (jnp.arange(self.length) <= tasks.place[rows, state][:, None])).sum(
            -1
        ) % 2
        right = odd ^ tasks.flip[rows, state].astype(jnp.int32)
        score = (action == right).astype(jnp.float32)
        shown = self._shown(tasks, jnp.minimum(state + 1, self.horizon - 1))
        return state + 1, told(shown, action, score, state + 1), score

    def _shown(self, tasks: Tasks, trial: jax.Array) -> jax.Array:
        rows = jnp.arange(len(trial))
        place = tasks.place[rows, trial][:, None]
        return jnp.concatenate([tasks.bits[rows, trial], place], -1).astype(jnp.float32)

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """chance, best, worst and fixed [N, T]; who cannot adapt still sees the row."""
        half, one = (np.full(tasks.place.shape, x) for x in (0.5, 1.0))
        fixed = np.where(np.asarray(tasks.flip), 0.0, 1.0)
        return {"chance": half, "best": one, "worst": 0 * one, "fixed": np.maximum(fixed, 1.0 - fixed)}

    def plans(self, trials: xr.Dataset, label: str = "intact") -> Plans:
        """Which answer is right, and how many bits it hangs on; nothing is pursued."""
        seen = trials.observation.sel(condition="intact").values
        bits, place = seen[..., :-1], seen[..., -1].astype(int)
        odd = (bits * (np.arange(self.length) <= place[..., None])).sum(-1).astype(int) % 2
        values = (np.arange(2) == odd[..., None]).astype(float)[:, :, None]
        action = trials.action.sel(condition=label).values.astype(int)[..., None]
        known = np.ones(action.shape[:2], bool)
        size = 2.0 ** min(self.length, 1000) * self.length
        return Plans(
            action, values, np.full_like(values, np.nan), known, place[..., None] + 1, size, goal=False
        )

    def text(self, action: int, feedback: float) -> str:
        """One answer in words."""
        return f"said {('even', 'odd')[action]}, got {feedback:g}"


def family(length: int = 16, trials: int = 20, bank: int = 0, bank_seed: int = 0) -> PrefixSums:
    """A row of bits is shown, and a place: is the sum up to there odd?

    Args:
        length: the bits of a row; in training only the nearer half is asked.
        trials: T, rows in a lifetime, at least 4.
        bank: M, the number of training lifetimes; 0 for unlimited.
        bank_seed: the seed that they are drawn from.
    """
    whole(length=(length, 2, LONGEST), trials=(trials, 4, 100_000))
    whole(bank=(bank, 0, 10_000), bank_seed=(bank_seed, 0, 2**32 - 1))
    fits(trials * (length + 1), f"{trials:,} rows of {length} bits", "Give fewer trials or shorter rows.")
    plain = PrefixSums(
        name=named(family, length=length, trials=trials, bank=bank, bank_seed=bank_seed),
        choices=2,
        horizon=trials,
        length=length,
        bank_name=None,
        bank_bits=None,
        bank_place=None,
    )
    if not bank:
        return plain
    drawn: Any = plain.draw(address(jax.random.key(bank_seed), "bank"), bank, "fresh")
    held = {"bank_bits": drawn.bits, "bank_place": drawn.place}
    return dataclasses.replace(plain, bank_name=f"bank:{bank}@{bank_seed}", **held)
