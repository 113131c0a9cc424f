"""Wraps any family as a Gymnasium environment in which one episode is one lifetime."""

from typing import Any

import gymnasium
import jax
import numpy as np

from mesascope.agents.observing import make_percept_encoder
from mesascope.contracts import Family, Percept
from mesascope.keys import derive_key
from mesascope.rollouts.compiling import compile_once

MAX_ACTION = 1e6  # the bound on real actions, because stable-baselines3 rejects a space without bounds


class FamilyEnv(gymnasium.Env):
    """A family as an environment in which one episode is one lifetime, and every reset draws a new task.

    The observation is one flat vector. It contains the D numbers of the task's observation, the last action in one-hot
    form over the K actions (a real action as one number), the last feedback, the trial's index as a fraction of the
    number of trials, and whether this is the first step (1 or 0). The reward is the feedback. After a step, `info`
    contains the score (the expected pay-off) and the expected pay-offs of chance and of the best action on this trial.

    Args:
        family: the family to wrap.
        split: the split from which tasks are drawn; the tasks of 'seen' are those in the family's bank.
        render_mode: 'ansi' to describe the last step in words in `render`; None to describe nothing.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, family: Family, split: str = "fresh", render_mode: str | None = None):
        self.family, self.split, self.render_mode = family, split, render_mode
        self.length, self.steps = family.get_split(split).trial_count, family.steps
        self.observe = make_percept_encoder(family)._replace(horizon=self.length)
        if family.choices is None:
            self.action_space = gymnasium.spaces.Box(-MAX_ACTION, MAX_ACTION, (1,), np.float32)
            action_bounds = [(-np.inf, np.inf)]
        else:
            self.action_space, action_bounds = (gymnasium.spaces.Discrete(family.choices), [(0, 1)] * family.choices)
        observation_bounds = [(-np.inf, np.inf)] * self.observe.observation_width
        bounds = np.asarray([*observation_bounds, *action_bounds, (-np.inf, np.inf), (0, 1), (0, 1)], np.float32)
        self.observation_space = gymnasium.spaces.Box(*bounds.T)
        self.message = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Draws a task, begins a lifetime and returns its first observation and an empty `info`."""
        super().reset(seed=seed)
        number = int(self.np_random.integers(2**31 - 1))
        self.key = derive_key(jax.random.key(number), "gymnasium")
        begin = _begin_compiled if self.family.is_traceable else _begin_lifetime
        self.tasks, self.state, percept = begin(self.family, self.key, self.split)
        self.latents = self.family.compute_latents(self.tasks, self.split)
        self.step_number, self.message = 0, ""
        return self._encode(percept), {}

    def step(self, action: Any):
        """Takes one action, and returns what `gymnasium.Env.step` returns.

        Returns:
            The observation, the reward, whether the lifetime ended, False (lifetimes are never truncated), and `info`.
        """
        kind = np.int32 if self.family.choices else np.float32
        actions = np.asarray(action).reshape(-1)[:1].astype(kind)
        step, trial = _step_compiled if self.family.is_traceable else _take_step, self.step_number // self.steps
        result = step(self.family, self.key, np.int32(self.step_number), self.tasks, self.state, action=actions)
        self.state, percept, score = result[0], *jax.device_get(result[1:])
        self.step_number += 1
        if self.step_number % self.steps and self._is_idle():
            self.step_number += self.steps - self.step_number % self.steps
        info = {"score": float(score[0])} | {k: float(self.latents[k][0, trial]) for k in ("chance", "best")}
        feedback = float(percept.feedback[0])
        self.message = self.family.describe_step(actions[0].item(), feedback)
        return self._encode(percept), feedback, self.step_number >= self.length * self.steps, False, info

    def render(self) -> str | None:
        """Returns the last action and its feedback in words, '' before any; None unless the render mode is 'ansi'."""
        return self.message if self.render_mode == "ansi" else None

    def _is_idle(self) -> bool:
        """Checks whether the lifetime is idle because its present trial ended early."""
        mask = self.family.find_idle(self.state)
        return mask is not None and bool(np.asarray(mask)[0])

    def _encode(self, percept: Percept) -> np.ndarray:
        return self.observe(jax.device_get(percept))[0]


def _begin_lifetime(family: Family, key: Any, split: str) -> tuple[Any, Any, Percept]:
    """Draws a task, and returns the task, its hidden state and the first percept of the lifetime."""
    tasks = family.get_split(split).draw(derive_key(key, "tasks"), 1)
    return tasks, *family.begin(derive_key(key, "begin"), tasks)


def _take_step(
    family: Family, key: Any, step_number: Any, tasks: Any, state: Any, *, action: Any
) -> tuple[Any, Percept, Any]:
    return family.step(derive_key(key, "pay", step_number), tasks, state, action)


_begin_compiled, _step_compiled = compile_once(_begin_lifetime), compile_once(_take_step)
