"""Runs one Gymnasium environment, or a vector environment that contains one, and checks every step.

A vector environment resets itself in the last step of an episode, in an extra step after the last one, or not at all.
Its metadata state which of these applies. `CheckedEnv.step` takes such an extra step itself, and does not return its
result.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate

from mesascope.errors import MesascopeError

LARGE_SIZE = 4096  # observations with more numbers are checked against their space on every sixteenth step only
MAX_SIZE = 4_000_000  # the largest number of numbers in an observation
MAX_ACTIONS = 1000
MASK_KEY, MASK_METHOD = "action_mask", "action_masks"  # where environments say which actions are allowed
STEP_RESULT = ("observation", "reward", "terminated", "truncated", "info")


class ObservationConverter:
    """Converts observations of a space into float32 arrays of one shape.

    Observations of a Box keep their shape. Observations of a Discrete space become one-hot. Gymnasium's own function
    flattens observations of all other spaces.
    """

    def __init__(self, space: gymnasium.Space, name: str):
        self.space, self.name, self.is_box = space, name, isinstance(space, spaces.Box)
        try:
            self.shape = tuple(space.shape or (1,)) if self.is_box else (spaces.flatdim(space),)
        except (NotImplementedError, ValueError):
            raise MesascopeError(
                f"Observations of {name} are {space}, which has no fixed size.",
                "Wrap the environment so that it shows a Box or a Discrete space.",
            ) from None
        if math.prod(self.shape) > MAX_SIZE:
            raise MesascopeError(
                f"An observation of {name} has {math.prod(self.shape):,} numbers.",
                f"Wrap the environment so that it shows at most {MAX_SIZE:,}.",
            )
        if isinstance(space, spaces.Box):
            low, high = (np.asarray(x, np.float64) for x in (space.low, space.high))
            slack = 1e-5 * np.maximum(1, np.where(np.isfinite([low, high]), np.abs([low, high]), 0).max(0))
            with np.errstate(over="ignore"):
                self.low, self.high = (low - slack).astype(np.float32), (high + slack).astype(np.float32)

    def __call__(self, observation: Any, should_check_all: bool, describe_time: Callable[[], str]) -> np.ndarray:
        """Converts one observation, and checks that the observation space contains it.

        Args:
            observation: the environment's observation.
            should_check_all: whether every number of a large observation is checked.
            describe_time: a function that describes, for an error message, when the observation was made.

        Raises:
            MesascopeError: the observation is not in its space, or contains NaN.
        """
        try:
            flat = np.asarray(observation) if self.is_box else spaces.flatten(self.space, observation)
            values = np.asarray(flat, np.float32).reshape(self.shape)
            fault = self._find_fault(observation, flat, values, should_check_all)
        except (TypeError, ValueError, IndexError, KeyError, AssertionError):
            values, fault = np.empty(0), f"showed {_abbreviate(observation)}"
        if fault:
            raise MesascopeError(
                f"{self.name} violates its own observation space {_abbreviate(self.space)}: "
                f"{describe_time()} it {fault}.",
                "Correct the environment or its observation_space.",
            )
        return values

    def _find_fault(self, observation: Any, unconverted_values: Any, values: np.ndarray, should_check_all: bool) -> str:
        """Describes what is wrong with an observation; '' if the observation is valid.

        Args:
            observation: the environment's observation.
            unconverted_values: the observation as an array of its own number type.
            values: the same numbers as float32, in the converter's shape.
            should_check_all: whether every number of a large observation is checked.
        """
        is_checked = should_check_all or values.size <= LARGE_SIZE
        if self.is_box and unconverted_values.shape != self.space.shape:
            return f"showed {_abbreviate(observation)}"
        if is_checked and np.isnan(values).any():
            return "showed an observation with NaN"
        if self.is_box and is_checked:
            in_space = values.reshape(unconverted_values.shape)
            is_outside = (in_space < self.low) | (in_space > self.high)
            if is_outside.any():
                at = tuple(np.argwhere(is_outside)[0].tolist())
                bounds = " to ".join(f"{float(getattr(self.space, b)[at]):g}" for b in ("low", "high"))
                return f"showed {float(unconverted_values[at]):g} at {list(at)}, outside its bounds {bounds}"
        elif not self.is_box and not self.space.contains(observation):
            return f"showed {_abbreviate(observation)}"
        return ""


class ActionConverter:
    """Converts a subject's actions into actions of the environment.

    Attributes:
        choices: K, the number of discrete actions; None if an action is one real number.
    """

    def __init__(self, space: gymnasium.Space, name: str):
        self.space: Any = space
        self.sizes: tuple[int, ...] = ()  # the number of values of each part of an action; () if actions are real
        if isinstance(space, spaces.Discrete):
            self.sizes = (int(space.n),)
        elif isinstance(space, spaces.MultiDiscrete) and len(space.nvec.shape) == 1:
            self.sizes = tuple(int(n) for n in space.nvec)
        elif isinstance(space, spaces.MultiBinary) and np.ndim(space.n) == 0:
            self.sizes = (2,) * int(np.asarray(space.n))
        elif not isinstance(space, spaces.Box) or math.prod(space.shape) != 1:
            raise MesascopeError(
                f"Actions of {name} are {_abbreviate(space)}; they must be whole numbers or one real number.",
                "Wrap the environment with a gymnasium.ActionWrapper that accepts such actions.",
            )
        self.choices = math.prod(self.sizes) if self.sizes else None
        if self.choices is not None and not 2 <= self.choices <= MAX_ACTIONS:
            raise MesascopeError(f"{name} has {self.choices:,} actions.", f"There can be 2 to {MAX_ACTIONS:,} actions.")

    def __call__(self, action: Any) -> Any:
        """Converts one action of a subject; a real number is clipped to the bounds of the action space."""
        if self.choices is None:
            clipped = np.clip(np.full(self.space.shape, action), self.space.low, self.space.high)
            return clipped.astype(self.space.dtype)
        parts = np.asarray(np.unravel_index(int(action), self.sizes)) + getattr(self.space, "start", 0)
        parts = parts.astype(self.space.dtype)
        return parts[0] if isinstance(self.space, spaces.Discrete) else parts


class CheckedEnv:
    """One environment that runs episode after episode, and checks the result of every step.

    Attributes:
        steps: the number of steps taken in the present episode.
        autoreset_mode: how a vector environment resets itself; None for other environments.
        mask_source: where the environment says which actions are allowed: 'info' (info["action_mask"]), 'method' (its
            method action_masks(), as sb3-contrib expects) or '' (nowhere).
        shows_mask: whether observations are flat, with the mask as K further entries; only if there is a mask.
        allowed_actions: [K] whether each action is allowed now; None without a mask.
    """

    def __init__(self, env: gymnasium.Env | VectorEnv, name: str, score_key: str = "", mask_source: str = ""):
        self.env: Any = env
        self.mask_source, self.shows_mask, self.allowed_actions = mask_source, bool(mask_source), None
        self.name, self.score_key, self.steps, self.autoreset_mode = name, score_key, 0, None
        observation_space, action_space = env.observation_space, env.action_space
        if isinstance(env, VectorEnv):
            if env.num_envs != 1:
                raise MesascopeError(
                    f"{name} made a vector environment with {env.num_envs} environments.",
                    "Make it with one environment: a lifetime must be able to wait at the end of an episode.",
                )
            self.autoreset_mode = _read_autoreset_mode(env, name)
            observation_space, action_space = env.single_observation_space, env.single_action_space
        self.observation_converter = ObservationConverter(observation_space, name)
        self.action_converter = ActionConverter(action_space, name)

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> np.ndarray:
        """Begins an episode, and returns its first observation."""
        options = dict(options) if options else None
        observation, info = self._call_method("reset", ("observation", "info"), seed=seed, options=options)
        self.steps, self.rng = 0, np.random.default_rng(seed)
        return self._convert_observation(observation, info)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The shape of the observations that `reset` and `step` return."""
        shape = self.observation_converter.shape
        return (math.prod(shape) + (self.action_converter.choices or 0),) if self.shows_mask else shape

    def find_mask_source(self) -> str:
        """Begins an episode, and finds where the environment says which actions are allowed; '' if it does not."""
        _, info = self._call_method("reset", ("observation", "info"), seed=0, options=None)
        if self.action_converter.choices is None:
            return ""
        if MASK_KEY in info:
            return "info"
        has_method = isinstance(self.env, gymnasium.Env) and self.env.has_wrapper_attr(MASK_METHOD)
        return "method" if has_method else ""

    def step(self, action: Any) -> tuple[np.ndarray, float, float, bool]:
        """Takes one step; returns the observation, reward, expected pay-off, and whether the episode is over.

        At the end of an episode, it also takes the extra step in which a vector environment may reset itself.

        If the environment does not allow the action, it gets one of the allowed actions, drawn at random.

        Raises:
            MesascopeError: the environment raised an error, violated its spaces or metadata, or gave no finite reward
                or expected pay-off.
        """
        if self.allowed_actions is not None and not self.allowed_actions[int(action)]:
            action = self.rng.choice(np.flatnonzero(self.allowed_actions))
        converted = self.action_converter(action)
        converted = np.asarray(converted)[None] if self.autoreset_mode else converted
        observation, reward, terminated, truncated, info = self._call_method("step", STEP_RESULT, converted)
        self.steps += 1
        score = reward = self._parse_number(reward, "paid")
        is_over = bool(np.any(terminated) or np.any(truncated))
        if is_over:
            self._finish_episode(info, converted)
        if self.score_key:
            if is_over and self.autoreset_mode is AutoresetMode.SAME_STEP:
                info = info.get("final_info", info)
            if self.score_key not in info:
                keys = ", ".join(map(str, info)) or "nothing"
                raise MesascopeError(
                    f"The info of {self.name} has no key {self.score_key!r}, but {keys}.",
                    "Name an existing key with score=, or leave it out.",
                )
            score = self._parse_number(info[self.score_key], f"has in its info as {self.score_key}")
        return self._convert_observation(observation, {} if is_over else info), reward, score, is_over

    def draw_action(self, rng: np.random.Generator) -> Any:
        """Draws a random action in the form in which subjects choose it."""
        if self.allowed_actions is not None:
            return int(rng.choice(np.flatnonzero(self.allowed_actions)))
        if self.action_converter.choices is not None:
            return int(rng.integers(self.action_converter.choices))
        low, high = (float(np.ravel(x)[0]) for x in (self.action_converter.space.low, self.action_converter.space.high))
        return float(rng.uniform(low, high) if np.isfinite([low, high]).all() else rng.standard_normal())

    def _finish_episode(self, info: Any, action: Any) -> None:
        """Handles the automatic reset of a vector environment at the end of an episode."""
        if self.autoreset_mode is AutoresetMode.SAME_STEP and "final_obs" not in info:
            raise MesascopeError(
                f"{self.name} has autoreset_mode SameStep, but its info has no final_obs at an episode's end.",
                "Correct its metadata or its info.",
            )
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            _, reward, terminated, truncated, _ = self._call_method("step", STEP_RESULT, action)
            if self._parse_number(reward, "paid") != 0 or np.any(terminated) or np.any(truncated):
                raise MesascopeError(
                    f"{self.name} has autoreset_mode NextStep, but the step after an episode did more than reset.",
                    "Correct its metadata: a step that only resets pays 0 and ends no episode.",
                )

    def _convert_observation(self, observation: Any, info: Any) -> np.ndarray:
        """Converts an observation, and adds the mask; `info` is empty after the last step of an episode."""
        if self.autoreset_mode:
            observation = next(iter(iterate(self.env.observation_space, observation)))
        converted = self.observation_converter(observation, self.steps % 16 == 0, self._describe_time)
        if not self.mask_source:
            return converted
        self.allowed_actions = self._read_mask(info) if info or self.mask_source == "method" else None
        if not self.shows_mask:
            return converted
        mask = np.ones(self.action_converter.choices or 0) if self.allowed_actions is None else self.allowed_actions
        return np.concatenate([converted.ravel(), mask]).astype(np.float32)

    def _read_mask(self, info: Any) -> np.ndarray:
        """Reads which actions the environment allows now, [K].

        Raises:
            MesascopeError: there is no mask, the mask has another shape, or it allows no action.
        """
        if self.mask_source == "info":
            mask = info.get(MASK_KEY)
            mask = mask[0] if self.autoreset_mode and mask is not None else mask
        else:
            mask = self.env.get_wrapper_attr(MASK_METHOD)()
        values = np.asarray([] if mask is None else mask)
        if values.shape != (self.action_converter.choices,) or not values.any():
            raise MesascopeError(
                f"{self._describe_time()} the action mask of {self.name} is {_abbreviate(mask)}.",
                f"It needs {self.action_converter.choices} entries, at least one of which is true.",
            )
        return values.astype(bool)

    def _describe_time(self) -> str:
        return f"after step {self.steps} of an episode" if self.steps else "at reset"

    def _parse_number(self, value: Any, phrase: str) -> float:
        try:
            number = float(np.asarray(value, np.float64).reshape(()) if np.ndim(value) == 0 else value[0])
        except (TypeError, ValueError, IndexError):
            number = math.nan
        if not math.isfinite(number):
            raise MesascopeError(
                f"{self._describe_time()} {self.name} {phrase} {_abbreviate(value)}, which is not a finite number.",
                "Correct the environment.",
            )
        return number

    def _call_method(self, method: str, result_names: tuple[str, ...], *arguments: Any, **keywords: Any) -> Any:
        """Calls a method of the environment, and checks that it returns a tuple with one value for each name."""
        try:
            result = getattr(self.env, method)(*arguments, **keywords)
        except MesascopeError:
            raise
        except Exception as error:
            raise MesascopeError(
                f"{method}() of {self.name} raised {type(error).__name__} {self._describe_time()}: {str(error)[:300]}.",
                "Correct the environment.",
            ) from error
        if not isinstance(result, tuple) or len(result) != len(result_names):
            raise MesascopeError(
                f"{method}() of {self.name} returned {_abbreviate(result)}, not ({', '.join(result_names)}).",
                "Wrap an environment of the old package gym with shimmy, or adapt it to Gymnasium.",
            )
        return result

    def close(self) -> None:
        """Closes the environment. Errors while closing are ignored, because they cannot change any result."""
        with contextlib.suppress(Exception):
            self.env.close()


def _read_autoreset_mode(env: VectorEnv, name: str) -> AutoresetMode:
    autoreset_mode = (env.metadata or {}).get("autoreset_mode")
    try:
        return AutoresetMode(autoreset_mode)
    except ValueError:
        raise MesascopeError(
            f"The metadata of the vector environment {name} has autoreset_mode {autoreset_mode!r}.",
            f"Set it to one of {', '.join(m.value for m in AutoresetMode)}.",
        ) from None


def _abbreviate(value: Any) -> str:
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 100 else f"{text[:97]}…"
