"""What families of bandits share: lifetimes of single pulls, which pay 1 or 0."""

from typing import Any

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Configured
from mesascope.contracts.percept import Percept, first_percept, next_percept

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Pulling(Configured):
    """A bandit whose tasks say what every arm pays on every trial, `means` [N, T, K]."""

    def begin(self, key: jax.Array, tasks: Any) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task; the hidden state is the trial index [N]."""
        return jnp.zeros(len(tasks.means), jnp.int32), first_percept(self.arm_observations(tasks))

    def step(self, key: jax.Array, tasks: Any, state: jax.Array, action: jax.Array):
        """Pulls one arm in each lifetime."""
        score = tasks.means[jnp.arange(len(action)), state, action]
        return (
            state + 1,
            next_percept(self.arm_observations(tasks), action, self.paid(key, tasks, score), state + 1),
            score,
        )

    def arm_observations(self, tasks: Any) -> jax.Array:
        """The observation [N, D]: nothing."""
        return jnp.zeros((len(tasks.means), 0))

    def paid(self, key: jax.Array, tasks: Any, score: jax.Array) -> jax.Array:
        """The feedback [N] of pulls that are expected to pay a score [N]; the other one where `inverted` says so."""
        won = (jax.random.uniform(key, score.shape) < score).astype(jnp.float32)
        return jnp.abs(won - tasks.inverted) if hasattr(tasks, "inverted") else won

    def text(self, action: int, feedback: float) -> str:
        """One pull in words."""
        return f"pulled arm {LETTERS[action % 26]}, got {feedback:g}"
