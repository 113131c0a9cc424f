"""Any of our families as a Gymnasium environment: one episode is one lifetime."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.families import Family, Percept
from mesascope.keys import address


class FamilyEnv(gymnasium.Env):
    """One lifetime per episode; a new task is drawn at every reset.

    The observation is a flat vector: what the task shows [D], the last action as one of K [K], the last feedback, the
    trial as a part of the horizon, and 1 at the first step. The reward is the feedback; `info` holds the score (the
    expected pay-off), chance and best of the trial.

    Args:
        family: which family.
        ring: which ring; 'seen' draws from its bank.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, family: Family, ring: str = "fresh", render_mode: str | None = None):
        self.family, self.ring, self.render_mode = family, ring, render_mode
        self.length = family.trials(ring)
        shown = self._begin(0)[1].observation.shape[-1]
        low = np.concatenate([np.full(shown, -np.inf), np.zeros(family.choices), [-np.inf, 0, 0]])
        high = np.concatenate([np.full(shown, np.inf), np.ones(family.choices), [np.inf, 1, 1]])
        self.observation_space = gymnasium.spaces.Box(low.astype(np.float32), high.astype(np.float32))
        self.action_space = (
            gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
            if family.choices is None
            else gymnasium.spaces.Discrete(family.choices)
        )
        self.told = ""

    def _begin(self, life: int) -> tuple[Any, Percept]:
        self.key = address(jax.random.key(life), "gymnasium")
        self.tasks = self.family.draw(address(self.key, "tasks"), 1, self.ring)
        self.known = self.family.latents(self.tasks, self.ring)
        return self.family.begin(address(self.key, "begin"), self.tasks)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Draws a task and begins a lifetime."""
        super().reset(seed=seed)
        self.state, percept = self._begin(int(self.np_random.integers(2**31 - 1)))
        self.trial, self.told = 0, ""
        return self._flat(percept), {}

    def step(self, action: Any):
        """Takes one action."""
        taken = jnp.asarray([int(action)], jnp.int32)
        self.state, percept, score = self.family.step(
            address(self.key, "pay", self.trial), self.tasks, self.state, taken
        )
        info = {"score": float(score[0])} | {
            k: float(self.known[k][0, self.trial]) for k in ("chance", "best")
        }
        feedback = float(percept.feedback[0])
        self.told = self.family.text(int(action), feedback)
        self.trial += 1
        return self._flat(percept), feedback, self.trial >= self.length, False, info

    def render(self) -> str | None:
        """The last trial in words."""
        return self.told if self.render_mode == "ansi" else None

    def _flat(self, percept: Percept) -> np.ndarray:
        action = np.zeros(self.family.choices, np.float32)
        if int(percept.action[0]) >= 0:
            action[int(percept.action[0])] = 1.0
        rest = [float(percept.feedback[0]), float(percept.trial[0]) / self.length, float(percept.first[0])]
        return np.concatenate([np.asarray(percept.observation[0]), action, rest]).astype(np.float32)
