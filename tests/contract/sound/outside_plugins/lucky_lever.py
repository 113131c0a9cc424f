"""One lever is lucky and pays most of the time; the others rarely do."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Family, Percept, Split, keep_settings
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key


class Tasks(NamedTuple):
    """lucky [N] the lever that pays; pay [N] how often it does."""

    lucky: jax.Array
    pay: jax.Array


class LuckyLever(Family):
    """A bandit with one good lever; the bank is a list of lucky levers."""

    name: str
    choices: int
    horizon: int
    bank_lucky: jax.Array | None

    controls: ClassVar = {"learner": "thompson", "lookalike": "two_loss_reflex", "still": "uniform"}

    @property
    def references(self) -> dict[str, str]:
        """Thompson sampling, with and without forgetting."""
        return {"learner": "thompson", "discounting": "thompson:discount=0.9"}

    def draw(self, key: jax.Array, n: int) -> Tasks:
        """Any lever may be the lucky one."""
        return Tasks(jax.random.randint(derive_key(key, "lucky"), (n,), 0, self.choices), jnp.full((n,), 0.9))

    def list_splits(self) -> tuple[Split, ...]:
        """'seen' are the levers of the bank; 'shifted:meagre' halves what the lucky lever pays."""
        seen = () if self.bank_lucky is None else (Split("seen", self._draw_seen, self.horizon),)
        return (
            *seen,
            Split("fresh", self.draw, self.horizon),
            Split("shifted:meagre", self._draw_meagre, self.horizon),
        )

    def _draw_seen(self, key: jax.Array, n: int) -> Tasks:
        which = jax.random.randint(derive_key(key, "which"), (n,), 0, len(self.bank_lucky))
        return self.draw(key, n)._replace(lucky=self.bank_lucky[which])

    def _draw_meagre(self, key: jax.Array, n: int) -> Tasks:
        return self.draw(key, n)._replace(pay=jnp.full((n,), 0.45))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """The hidden state is the trial [N]."""
        n = len(tasks.lucky)
        zero = jnp.zeros(n, jnp.int32)
        return zero, Percept(jnp.zeros((n, 0)), zero - 1, jnp.zeros(n), zero, zero, jnp.ones(n, bool))

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Pulls a lever."""
        score = jnp.where(action == tasks.lucky, tasks.pay, 0.1)
        feedback = (jax.random.uniform(key, score.shape) < score).astype(jnp.float32)
        trial = state + 1
        still = jnp.zeros_like(trial)
        return (trial, Percept(jnp.zeros((len(action), 0)), action, feedback, trial, still, still.astype(bool)), score)

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Chance, best, worst and fixed [N, T]."""
        best = np.repeat(np.asarray(tasks.pay)[:, None], self.horizon, 1)
        chance = best / self.choices + 0.1 * (self.choices - 1) / self.choices
        return {"best": best, "worst": np.full_like(best, 0.1), "chance": chance, "fixed": chance}


@keep_settings
def family(choices: int = 4, trials: int = 20, bank: int = 0, bank_seed: int = 0) -> LuckyLever:
    """One lever is lucky and pays most of the time; the others rarely do.

    Args:
        choices: levers, at least 2.
        trials: T.
        bank: how many lucky levers were trained on; 0 for all.
        bank_seed: which ones.
    """
    if not 2 <= choices <= 50 or trials < 2 or not 0 <= bank <= choices:
        raise MesascopeError(
            f"There are no {choices} levers with a bank of {bank}.", "Give 2 to 50, and fewer in the bank."
        )
    lucky = jax.random.permutation(jax.random.key(bank_seed), choices)[:bank] if bank else None
    name = f"lucky_lever:choices={choices},trials={trials}" + (f",bank={bank},bank_seed={bank_seed}" if bank else "")
    return LuckyLever(name, choices, trials, lucky)
