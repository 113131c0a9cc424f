"""Lanes, each of which runs one Gymnasium environment, or a vector environment of one, and checks every step.

A lane returns real steps only. A vector environment resets itself either in the last step of an episode or in a fake
step after it. The lane reads from the metadata which of the two applies, and drops and counts fake steps.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate

from mesascope.errors import MesascopeError

LARGE = 4096  # observations with more numbers are checked against their space only now and then
LARGEST = 4_000_000  # the most numbers in an observation


class Sight:
    """Converts observations of a space into float32 arrays of one shape.

    A Box stays as it is; a Discrete space becomes one-hot; other spaces are flattened as Gymnasium does.
    """

    def __init__(self, space: gymnasium.Space, name: str):
        self.space, self.name = space, name
        if isinstance(space, gymnasium.spaces.Box):
            self.shape = tuple(space.shape) or (1,)
        else:
            try:
                self.shape = (gymnasium.spaces.flatdim(space),)
            except (NotImplementedError, ValueError):
                raise MesascopeError(
                    f"Observations of {name} are {space}, which has no fixed size.",
                    "Wrap the environment so that it shows a Box or a Discrete space.",
                ) from None
        if math.prod(self.shape) > LARGEST:
            raise MesascopeError(
                f"An observation of {name} has {math.prod(self.shape):,} numbers.",
                f"Wrap the environment so that it shows at most {LARGEST:,}.",
            )

        self.bounds = None
        if isinstance(space, gymnasium.spaces.Box):
            low, high = (np.asarray(x, np.float64) for x in (space.low, space.high))
            slack = 1e-5 * np.maximum(1, np.where(np.isfinite([low, high]), np.abs([low, high]), 0).max(0))
            with np.errstate(over="ignore"):
                self.bounds = (low - slack).astype(np.float32), (high + slack).astype(np.float32)

    def __call__(self, observation: Any, check_all: bool, when: Callable[[], str]) -> np.ndarray:
        """Converts one observation, and checks it against its space.

        Args:
            observation: the environment's observation.
            check_all: whether every number of a large observation is checked.
            when: a function that returns the time of the observation, for a message.

        Raises:
            MesascopeError: the observation is not in its space, or contains NaN.
        """
        if self.bounds is not None and isinstance(observation, np.ndarray) and observation.shape == self.space.shape:
            values = observation.astype(np.float32)
            if not check_all and values.size > LARGE:
                return values.reshape(self.shape)
            if ((values >= self.bounds[0]) & (values <= self.bounds[1])).all():  # false for NaN
                return values.reshape(self.shape)
        return self._check(observation, check_all, when)

    def _check(self, observation: Any, check_all: bool, when: Callable[[], str]) -> np.ndarray:
        """Does the same for any space, and raises an error with a message for every violation."""
        box = isinstance(self.space, gymnasium.spaces.Box)
        value: Any
        try:
            value = np.asarray(observation) if box else gymnasium.spaces.flatten(self.space, observation)
            values = np.asarray(value, np.float32).reshape(self.shape)
            lost = box and np.shape(value) != self.space.shape
        except (TypeError, ValueError, IndexError, KeyError, AssertionError):
            value = values = None
            lost = True
        fault = ""
        if lost or value is None or values is None:
            fault = f"showed {_abbreviate(observation)}"
        elif (check_all or values.size <= LARGE) and not np.isfinite(values).all() and np.isnan(values).any():
            fault = "showed an observation with NaN"
        elif box and (check_all or values.size <= LARGE):
            assert self.bounds is not None
            in_space = values.reshape(self.space.shape)
            odd = (in_space < self.bounds[0]) | (in_space > self.bounds[1])
            if odd.any():
                at = tuple(int(i) for i in np.argwhere(odd)[0])
                bounds = " to ".join(f"{float(getattr(self.space, b)[at]):g}" for b in ("low", "high"))
                fault = f"showed {float(value[at]):g} at {list(at)}, outside its bounds {bounds}"
        elif not box and not self.space.contains(observation):
            fault = f"showed {_abbreviate(observation)}"
        if fault or values is None:
            raise MesascopeError(
                f"{self.name} violates its own observation space {_abbreviate(self.space)}: {when()} it {fault}.",
                "Correct the environment or its observation_space.",
            )
        return values


class Hand:
    """Converts a subject's actions into actions of the environment.

    Attributes:
        choices: K, or None if an action is one real number.
    """

    def __init__(self, space: gymnasium.Space, name: str, most: int = 1000):
        self.space = space
        self.choices: int | None = None
        if isinstance(space, gymnasium.spaces.Discrete):
            self.choices, self.sizes = int(space.n), ()
        elif isinstance(space, gymnasium.spaces.MultiDiscrete) and len(space.nvec.shape) == 1:
            self.sizes = tuple(int(n) for n in space.nvec)
            self.choices = math.prod(self.sizes)
        elif isinstance(space, gymnasium.spaces.MultiBinary) and np.ndim(space.n) == 0:
            self.sizes = (2,) * int(np.asarray(space.n))
            self.choices = math.prod(self.sizes)
        elif not isinstance(space, gymnasium.spaces.Box) or math.prod(space.shape) != 1:
            raise MesascopeError(
                f"Actions of {name} are {_abbreviate(space)}; they must be whole numbers or one real number.",
                "Wrap the environment (gymnasium.ActionWrapper) so that they are.",
            )
        if self.choices is not None and not 2 <= self.choices <= most:
            raise MesascopeError(f"{name} has {self.choices:,} actions.", f"There can be 2 to {most:,}.")

    def __call__(self, action: Any) -> Any:
        """The environment's action; real numbers are clipped to its bounds."""
        if isinstance(self.space, gymnasium.spaces.Discrete):
            return self.space.dtype.type(self.space.start + int(action))
        if isinstance(self.space, gymnasium.spaces.Box):
            cut = np.clip(np.full(self.space.shape, action), self.space.low, self.space.high)
            return cut.astype(self.space.dtype)
        start = getattr(self.space, "start", 0)
        parts = np.asarray(np.unravel_index(int(action), self.sizes)) + start
        return parts.astype(self.space.dtype)


class Lane:
    """One environment, in which one episode follows another.

    Attributes:
        real: the number of real steps.
        fake: the number of fake steps, which only reset a vector environment after the end of an episode.
        ended: the number of finished episodes.
    """

    def __init__(self, env: gymnasium.Env | VectorEnv, name: str, score: str = ""):
        self.env, self.name, self.score = env, name, score
        self.vector = isinstance(env, VectorEnv)
        self.real = self.fake = self.ended = self.now = 0
        self.mode = None
        if isinstance(env, VectorEnv):
            if env.num_envs != 1:
                raise MesascopeError(
                    f"{name} gave a vector environment of {env.num_envs}.",
                    "Give a vector environment of one: a lifetime must be able to wait at the end of an episode.",
                )
            self.mode = _read_mode(env, name)
            seen, act = env.single_observation_space, env.single_action_space
        else:
            seen, act = env.observation_space, env.action_space
        self.sight, self.hand = Sight(seen, name), Hand(act, name)

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> np.ndarray:
        """Begins an episode; returns the first observation."""
        result = self._call("reset", seed=seed, options=dict(options) if options else None)
        if not isinstance(result, tuple) or len(result) != 2:
            raise MesascopeError(
                f"reset() of {self.name} returned {_abbreviate(result)}, not (observation, info).",
                "Environments of old Gym need shimmy or the present interface of Gymnasium.",
            )
        self.now = 0
        return self._observe(result[0])

    def step(self, action: Any) -> tuple[np.ndarray, float, float, bool]:
        """Takes one real step; returns the observation, reward, expected pay-off, and whether the episode is over.

        Raises:
            MesascopeError: the environment raised, violated its spaces, or paid something other than a number.
        """
        act = self.hand(action)
        result = self._call("step", np.asarray(act)[None] if self.vector else act)
        if not isinstance(result, tuple) or len(result) != 5:
            raise MesascopeError(
                f"step() of {self.name} returned {_abbreviate(result)}, "
                "not (observation, reward, terminated, truncated, info).",
                "Environments of old Gym need shimmy or the present interface of Gymnasium.",
            )
        observation, reward, terminated, truncated, info = result
        self.real, self.now = self.real + 1, self.now + 1
        reward = self._parse_number(reward, "paid")
        over = bool(np.asarray(terminated).any()) or bool(np.asarray(truncated).any())
        if over:
            self.ended += 1
            self._finish_episode(observation, info, act)
        score = reward
        if self.score:
            metrics = info
            if over and self.mode is AutoresetMode.SAME_STEP:
                metrics = info.get("final_info", info)
            if self.score not in metrics:
                keys = ", ".join(map(str, metrics)) or "nothing"
                raise MesascopeError(
                    f"The info of {self.name} has no key {self.score!r}, but {keys}.",
                    "Name an existing key with score=, or leave it out.",
                )
            score = self._parse_number(metrics[self.score], f"has in its info as {self.score}")
        return self._observe(observation), reward, score, over

    def random(self, rng: np.random.Generator) -> Any:
        """Draws an action at random."""
        if self.hand.choices is not None:
            return int(rng.integers(self.hand.choices))
        low, high = (float(np.ravel(x)[0]) for x in (self.hand.space.low, self.hand.space.high))  # pyright: ignore
        return float(rng.uniform(low, high) if np.isfinite([low, high]).all() else rng.standard_normal())

    def _finish_episode(self, seen: Any, info: Any, act: Any) -> None:
        """Handles the automatic reset of a vector environment at the end of an episode."""
        if self.mode is AutoresetMode.SAME_STEP and "final_obs" not in info:
            raise MesascopeError(
                f"{self.name} says autoreset_mode SameStep, but its info has no final_obs at an episode's end.",
                "Correct its metadata or its info.",
            )
        if self.mode is AutoresetMode.NEXT_STEP:
            _, reward, terminated, truncated, _ = self._call("step", np.asarray(act)[None])
            self.fake += 1
            if self._parse_number(reward, "paid") != 0 or np.asarray(terminated).any() or np.asarray(truncated).any():
                raise MesascopeError(
                    f"{self.name} says autoreset_mode NextStep, but the step after an episode's end was a real one.",
                    "Correct its metadata: a step that only resets pays 0 and ends no episode.",
                )

    def check_resets(self) -> None:
        """Checks that one fake step followed every episode if the environment resets in fake steps, and else none.

        Raises:
            MesascopeError: the counts do not agree.
        """
        expected = self.ended if self.mode is AutoresetMode.NEXT_STEP else 0
        if self.fake != expected:
            raise MesascopeError(
                f"{self.name} ended {self.ended:,} episodes and took {self.fake:,} fake steps.",
                "This is an error in mesascope: please report it.",
            )

    def _observe(self, observation: Any) -> np.ndarray:
        if self.vector:
            observation = next(iter(iterate(self.env.observation_space, observation)))
        return self.sight(observation, self.now % 16 == 0, self._describe_time)

    def _describe_time(self) -> str:
        return f"after step {self.now} of an episode" if self.now else "at reset"

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

    def _call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        try:
            return getattr(self.env, method)(*arguments, **keywords)
        except MesascopeError:
            raise
        except Exception as error:
            raise MesascopeError(
                f"{method}() of {self.name} raised {type(error).__name__} {self._describe_time()}: {str(error)[:300]}.",
                "Correct the environment.",
            ) from error

    def close(self) -> None:
        """Closes the environment."""
        try:
            self.env.close()
        except Exception:  # an error while closing changes no result
            return


def _read_mode(env: VectorEnv, name: str) -> AutoresetMode:
    mode = (env.metadata or {}).get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError:
        raise MesascopeError(
            f"The metadata of the vector environment {name} has autoreset_mode {mode!r}.",
            f"Set it to one of {', '.join(m.value for m in AutoresetMode)}.",
        ) from None


def _abbreviate(value: Any) -> str:
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 100 else f"{text[:97]}…"
