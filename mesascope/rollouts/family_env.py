"""Any of our families as a Gymnasium environment: one episode is one lifetime."""

from typing import Any

import gymnasium
import jax
import numpy as np

from mesascope.agents.observing import make_observer
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.keys import address
from mesascope.rollouts.compiling import compile_once

WIDEST = 1e6  # of real actions: stable-baselines3 takes no space without bounds


class FamilyEnv(gymnasium.Env):
    """One lifetime per episode; a new task is drawn at every reset.

    The observation is a flat vector: what the task shows [D], the last action as one of K [K] (as itself where actions
    are real), the last feedback, the trial as a part of the horizon, and 1 at the first step. The reward is the
    feedback; `info` holds the score (the expected pay-off), chance and best of the trial.

    Args:
        family: which family.
        split: which split; 'seen' draws from its bank.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, family: Family, split: str = "fresh", render_mode: str | None = None):
        self.family, self.split, self.render_mode = family, split, render_mode
        self.length, self.steps = family.split(split).trials, family.steps
        self.observe = make_observer(family)._replace(horizon=self.length)
        if family.choices is None:
            self.action_space = gymnasium.spaces.Box(-WIDEST, WIDEST, (1,), np.float32)
            acts = [(-np.inf, np.inf)]
        else:
            self.action_space, acts = gymnasium.spaces.Discrete(family.choices), [(0, 1)] * family.choices
        shown = [(-np.inf, np.inf)] * self.observe.shown
        bounds = np.asarray([*shown, *acts, (-np.inf, np.inf), (0, 1), (0, 1)], np.float32)
        self.observation_space = gymnasium.spaces.Box(*bounds.T)
        self.told = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Draws a task and begins a lifetime."""
        super().reset(seed=seed)
        life = int(self.np_random.integers(2**31 - 1))
        self.key = address(jax.random.key(life), "gymnasium")
        begin = _begun if self.family.traceable else _begin
        self.tasks, self.state, percept = begin(self.family, self.key, self.split)
        self.known = self.family.latents(self.tasks, self.split)
        self.tick, self.told = 0, ""
        return self._flat(percept), {}

    def step(self, action: Any):
        """Takes one action."""
        kind = np.int32 if self.family.choices else np.float32
        taken = np.asarray(action).reshape(-1)[:1].astype(kind)
        step, trial = _stepped if self.family.traceable else _step, self.tick // self.steps
        told = step(self.family, self.key, np.int32(self.tick), self.tasks, self.state, action=taken)
        self.state, percept, score = told[0], *jax.device_get(told[1:])
        self.tick += 1
        if self.tick % self.steps and self._idle():
            self.tick += self.steps - self.tick % self.steps
        info = {"score": float(score[0])} | {k: float(self.known[k][0, trial]) for k in ("chance", "best")}
        feedback = float(percept.feedback[0])
        self.told = self.family.text(taken[0].item(), feedback)
        return self._flat(percept), feedback, self.tick >= self.length * self.steps, False, info

    def render(self) -> str | None:
        """The last trial in words."""
        return self.told if self.render_mode == "ansi" else None

    def _idle(self) -> bool:
        """Whether the lifetime has ended its trial early."""
        idle = self.family.idle(self.state)
        return idle is not None and bool(np.asarray(idle)[0])

    def _flat(self, percept: Percept) -> np.ndarray:
        return self.observe(jax.device_get(percept))[0]


def _begin(family: Family, key: Any, split: str) -> tuple[Any, Any, Percept]:
    """A task, the hidden state and the start-of-life percept of one lifetime."""
    tasks = family.split(split).draw(address(key, "tasks"), 1)
    return tasks, *family.begin(address(key, "begin"), tasks)


def _step(
    family: Family, key: Any, tick: Any, tasks: Any, state: Any, *, action: Any
) -> tuple[Any, Percept, Any]:
    return family.step(address(key, "pay", tick), tasks, state, action)


_begun, _stepped = compile_once(_begin), compile_once(_step)
