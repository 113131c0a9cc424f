"""The shared base of bandit families: each trial is one pull of an arm."""

from typing import Any

import jax
import jax.numpy as jnp

from mesascope.contracts import ConfiguredFamily, Percept, make_first_percept, make_next_percept

ARM_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class BanditFamily(ConfiguredFamily):
    """A bandit. Its tasks have a field `means` [N, T, K], the expected pay-off of each arm on each trial."""

    def begin(self, key: jax.Array, tasks: Any) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task, and returns the hidden state, the trial index [N], and the first percept."""
        return jnp.zeros(len(tasks.means), jnp.int32), make_first_percept(self.observe_arms(tasks))

    def step(self, key: jax.Array, tasks: Any, state: jax.Array, action: jax.Array):
        """Pulls one arm in each lifetime."""
        score = tasks.means[jnp.arange(len(action)), state, action]
        feedback = self.draw_feedback(key, tasks, score)
        return state + 1, make_next_percept(self.observe_arms(tasks), action, feedback, state + 1), score

    def observe_arms(self, tasks: Any) -> jax.Array:
        """Makes the observation [N, D] that the subject gets on every trial; D is 0 by default."""
        return jnp.zeros((len(tasks.means), 0))

    def draw_feedback(self, key: jax.Array, tasks: Any, score: jax.Array) -> jax.Array:
        """Draws feedback [N], 1 with probability `score` [N], else 0; tasks with inverted feedback exchange 1 and 0."""
        feedback = (jax.random.uniform(key, score.shape) < score).astype(jnp.float32)
        return jnp.abs(feedback - tasks.inversion) if hasattr(tasks, "inversion") else feedback

    def describe_step(self, action: int, feedback: float) -> str:
        """Describes one pull in words."""
        return f"pulled arm {ARM_LETTERS[action % 26]}, got {feedback:.3g}"
