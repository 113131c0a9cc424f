"""Lanes: one Gymnasium environment per lifetime, watched at every step; vector environments of one, too.

A lane hands over real steps only. Vector environments reset themselves at or after the end of an episode, each in its
own way; a lane reads which, drops the fake step that one of them puts there, and counts.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate

from mesascope.errors import MesascopeError

LARGE = 4096  # numbers in an observation above which not every one is held against its space
LARGEST = 4_000_000  # numbers in an observation


class Sight:
    """How observations of a space are shown to a subject: float32 arrays of one shape.

    A Box as it is, one number per state of a Discrete space, everything else flattened as Gymnasium does.
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
                f"An observation of {name} holds {math.prod(self.shape):,} numbers.",
                f"Wrap the environment so that it shows at most {LARGEST:,}.",
            )

        self.bounds = None
        if isinstance(space, gymnasium.spaces.Box):
            low, high = (np.asarray(x, np.float64) for x in (space.low, space.high))
            slack = 1e-5 * np.maximum(1, np.where(np.isfinite([low, high]), np.abs([low, high]), 0).max(0))
            with np.errstate(over="ignore"):
                self.bounds = (low - slack).astype(np.float32), (high + slack).astype(np.float32)

    def __call__(self, seen: Any, whole: bool, when: Callable[[], str]) -> np.ndarray:
        """One observation, held against its space.

        Args:
            seen: what the environment showed.
            whole: whether every number of a large one is looked at.
            when: says when that was, for a message.

        Raises:
            MesascopeError: it is not of its space, or not a number.
        """
        if self.bounds is not None and isinstance(seen, np.ndarray) and seen.shape == self.space.shape:
            shown = seen.astype(np.float32)
            if not whole and shown.size > LARGE:
                return shown.reshape(self.shape)
            if ((shown >= self.bounds[0]) & (shown <= self.bounds[1])).all():  # which NaN is not
                return shown.reshape(self.shape)
        return self._slowly(seen, whole, when)

    def _slowly(self, seen: Any, whole: bool, when: Callable[[], str]) -> np.ndarray:
        """The same of any space, with what to say where it is violated."""
        box = isinstance(self.space, gymnasium.spaces.Box)
        value: Any
        try:
            value = np.asarray(seen) if box else gymnasium.spaces.flatten(self.space, seen)
            shown = np.asarray(value, np.float32).reshape(self.shape)
            lost = box and np.shape(value) != self.space.shape
        except (TypeError, ValueError, IndexError, KeyError, AssertionError):
            value = shown = None
            lost = True
        why = ""
        if lost or value is None or shown is None:
            why = f"showed {_brief(seen)}"
        elif (whole or shown.size <= LARGE) and not np.isfinite(shown).all() and np.isnan(shown).any():
            why = "showed an observation that is not a number (NaN)"
        elif box and (whole or shown.size <= LARGE):
            assert self.bounds is not None
            held = shown.reshape(self.space.shape)
            odd = (held < self.bounds[0]) | (held > self.bounds[1])
            if odd.any():
                at = tuple(int(i) for i in np.argwhere(odd)[0])
                bounds = " to ".join(f"{float(getattr(self.space, b)[at]):g}" for b in ("low", "high"))
                why = f"showed {float(value[at]):g} at {list(at)}, where it says {bounds}"
        elif not box and not self.space.contains(seen):
            why = f"showed {_brief(seen)}"
        if why or shown is None:
            raise MesascopeError(
                f"{self.name} violates its own observation space {_brief(self.space)}: {when()} it {why}.",
                "Mend the environment or its observation_space.",
            )
        return shown


class Hand:
    """How an action of a subject becomes one of the environment's.

    Attributes:
        choices: K, or None where an action is one real number.
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
                f"Actions of {name} are {_brief(space)}; they can be whole numbers or one real number.",
                "Wrap the environment (gymnasium.ActionWrapper) so that they are.",
            )
        if self.choices is not None and not 2 <= self.choices <= most:
            raise MesascopeError(f"{name} has {self.choices:,} actions.", f"There can be 2 to {most:,}.")

    def __call__(self, action: Any) -> Any:
        """The environment's action; real numbers are cut to its bounds."""
        if isinstance(self.space, gymnasium.spaces.Discrete):
            return self.space.dtype.type(self.space.start + int(action))
        if isinstance(self.space, gymnasium.spaces.Box):
            cut = np.clip(np.full(self.space.shape, action), self.space.low, self.space.high)
            return cut.astype(self.space.dtype)
        start = getattr(self.space, "start", 0)
        parts = np.asarray(np.unravel_index(int(action), self.sizes)) + start
        return parts.astype(self.space.dtype)


class Lane:
    """One environment, one episode after the other.

    Attributes:
        real: steps that counted.
        fake: steps of a vector environment after an episode's end, which reset it and nothing else.
        ended: episodes that ended.
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
                    "Give one of one: a lifetime whose episode is over must be able to stand still.",
                )
            self.mode = _mode(env, name)
            seen, act = env.single_observation_space, env.single_action_space
        else:
            seen, act = env.observation_space, env.action_space
        self.sight, self.hand = Sight(seen, name), Hand(act, name)

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> np.ndarray:
        """Begins an episode: the first observation."""
        told = self._called("reset", seed=seed, options=dict(options) if options else None)
        if not isinstance(told, tuple) or len(told) != 2:
            raise MesascopeError(
                f"reset() of {self.name} returned {_brief(told)}, not (observation, info).",
                "Environments of old Gym need shimmy or the present interface of Gymnasium.",
            )
        self.now = 0
        return self._seen(told[0])

    def step(self, action: Any) -> tuple[np.ndarray, float, float, bool]:
        """One real step: observation, reward, expected pay-off and whether the episode is over.

        Raises:
            MesascopeError: the environment raised, violated its spaces, or paid no number.
        """
        act = self.hand(action)
        told = self._called("step", np.asarray(act)[None] if self.vector else act)
        if not isinstance(told, tuple) or len(told) != 5:
            raise MesascopeError(
                f"step() of {self.name} returned {_brief(told)}, "
                "not (observation, reward, terminated, truncated, info).",
                "Environments of old Gym need shimmy or the present interface of Gymnasium.",
            )
        seen, reward, terminated, truncated, info = told
        self.real, self.now = self.real + 1, self.now + 1
        reward = self._number(reward, "paid")
        over = bool(np.asarray(terminated).any()) or bool(np.asarray(truncated).any())
        if over:
            self.ended += 1
            self._over(seen, info, act)
        score = reward
        if self.score:
            held = info
            if over and self.mode is AutoresetMode.SAME_STEP:
                held = info.get("final_info", info)
            if self.score not in held:
                raise MesascopeError(
                    f"The info of {self.name} holds no {self.score!r}, but {', '.join(map(str, held)) or 'nothing'}.",
                    "Name a key that is there with score=, or leave it out.",
                )
            score = self._number(held[self.score], f"its info told the {self.score}")
        return self._seen(seen), reward, score, over

    def random(self, rng: np.random.Generator) -> Any:
        """An action of even random play."""
        if self.hand.choices is not None:
            return int(rng.integers(self.hand.choices))
        low, high = (float(np.ravel(x)[0]) for x in (self.hand.space.low, self.hand.space.high))  # pyright: ignore
        return float(rng.uniform(low, high) if np.isfinite([low, high]).all() else rng.standard_normal())

    def _over(self, seen: Any, info: Any, act: Any) -> None:
        """What a vector environment does of its own when an episode is over, so that the next reset finds it clean."""
        if self.mode is AutoresetMode.SAME_STEP and "final_obs" not in info:
            raise MesascopeError(
                f"{self.name} says autoreset_mode SameStep and its info holds no final_obs at an episode's end.",
                "Mend its metadata or its info.",
            )
        if self.mode is AutoresetMode.NEXT_STEP:
            _, reward, terminated, truncated, _ = self._called("step", np.asarray(act)[None])
            self.fake += 1
            if (
                self._number(reward, "paid") != 0
                or np.asarray(terminated).any()
                or np.asarray(truncated).any()
            ):
                raise MesascopeError(
                    f"{self.name} says autoreset_mode NextStep, and the step after an episode's end was a real one.",
                    "Mend its metadata: the fake step that resets pays 0 and ends nothing.",
                )

    def counted(self) -> None:
        """Raises where fake steps and ends do not tally."""
        wanted = self.ended if self.mode is AutoresetMode.NEXT_STEP else 0
        if self.fake != wanted:
            raise MesascopeError(
                f"{self.name} ended {self.ended:,} episodes and took {self.fake:,} fake steps.",
                "Report this.",
            )

    def _seen(self, seen: Any) -> np.ndarray:
        if self.vector:
            seen = next(iter(iterate(self.env.observation_space, seen)))
        return self.sight(seen, self.now % 16 == 0, self._when)

    def _when(self) -> str:
        return f"after step {self.now} of an episode" if self.now else "at reset"

    def _number(self, value: Any, what: str) -> float:
        try:
            number = float(np.asarray(value, np.float64).reshape(()) if np.ndim(value) == 0 else value[0])
        except (TypeError, ValueError, IndexError):
            number = math.nan
        if not math.isfinite(number):
            raise MesascopeError(
                f"{self._when()} {self.name} {what} {_brief(value)}, which is no finite number.",
                "Mend the environment.",
            )
        return number

    def _called(self, method: str, *given: Any, **named: Any) -> Any:
        try:
            return getattr(self.env, method)(*given, **named)
        except MesascopeError:
            raise
        except Exception as error:
            raise MesascopeError(
                f"{method}() of {self.name} raised {type(error).__name__} {self._when()}: {str(error)[:300]}.",
                "Mend the environment.",
            ) from error

    def close(self) -> None:
        """Lets the environment go."""
        try:
            self.env.close()
        except Exception:  # an environment that cannot even be closed has said all it had to say
            return


def _mode(env: VectorEnv, name: str) -> AutoresetMode:
    told = (env.metadata or {}).get("autoreset_mode")
    try:
        return AutoresetMode(told)
    except ValueError:
        raise MesascopeError(
            f"The metadata of the vector environment {name} say autoreset_mode {told!r}.",
            f"They need one of {', '.join(m.value for m in AutoresetMode)}.",
        ) from None


def _brief(value: Any) -> str:
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 100 else f"{text[:97]}…"
