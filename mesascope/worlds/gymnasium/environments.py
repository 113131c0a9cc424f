"""Reads the registry of Gymnasium environments, makes lanes from them, and runs a block of lifetimes in the lanes."""

import warnings
import weakref
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from mesascope.contracts.percept import Percept
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.worlds.gymnasium.lanes import Lane


class Lifetimes:
    """A block of lifetimes, with their lanes, trials [N], steps [N] and observations.

    It changes in place, like Gymnasium's environments. `home` is the family.
    """

    def __init__(self, home: Any, tasks: Mapping[str, np.ndarray], life_seeds: np.ndarray):
        self.home, self.tasks, self.life_seeds = home, tasks, life_seeds
        n = len(life_seeds)
        # one environment for every lifetime, because an environment may keep state from one episode to the next
        self.lanes = [
            make_lane(home.env, keywords, home.most, home.limited, home.vector, score=home.score_key)
            for keywords in tasks["keywords"]
        ]
        weakref.finalize(self, _close, self.lanes)
        for lane in self.lanes:
            if lane.sight.shape != home.size or lane.hand.choices != home.choices:
                raise MesascopeError(
                    f"{lane.name} has observations {lane.sight.shape} and {lane.hand.choices} actions in one task, "
                    f"{home.size} and {home.choices} in another.",
                    "All tasks of a family need the same spaces: vary other keywords.",
                )
        self.trial, self.now = np.zeros(n, np.int32), np.zeros(n, np.int32)
        real = home.choices is None
        self.acted = np.zeros(n, np.float32) if real else np.full(n, -1, np.int32)
        self.paid = np.zeros(n, np.float32)
        self.seen = np.stack([self._begin(i) for i in range(n)])

    def _begin(self, i: int) -> np.ndarray:
        """Begins the next episode of lifetime i; returns its first observation."""
        seed = int(self.tasks["seed"][i])
        if not self.home.same_seed:
            seed = int(np.random.default_rng([seed, int(self.life_seeds[i]), int(self.trial[i])]).integers(2**31 - 1))
        return self.lanes[i].reset(seed, self.tasks["keywords"][i].get("options"))

    def step(self, action: np.ndarray) -> np.ndarray:
        """Takes a step in every lifetime that is not idle; returns the scores [N]."""
        score = np.zeros(len(action), np.float32)
        home, k, most = self.home, self.home.choices, self.home.most
        for i, lane in enumerate(self.lanes):
            requested = action[i]
            if (requested < 0) if k is not None else np.isnan(requested):
                continue
            exchanged = k is not None and self.trial[i] >= self.tasks["exchanged"][i]
            observation, self.paid[i], score[i], over = lane.step((requested + 1) % k if exchanged else requested)
            self.acted[i] = requested
            self.now[i] += 1
            if not over and self.now[i] >= most:
                raise MesascopeError(
                    f"An episode of {lane.name} was not over after {most:,} steps"
                    f"{', its own limit' if home.limited else ''}.",
                    "Set steps to the most steps of an episode, or make the environment end it.",
                )
            if over and home.by_steps and self.now[i] < most:
                raise MesascopeError(
                    f"An episode of {lane.name} was over after {self.now[i]:,} of {most:,} steps.",
                    "If every step is a trial, all episodes must have the same length: set steps, or trial=episode.",
                )
            if over or home.by_steps:
                self.trial[i] += 1
            if over:
                lane.check_resets()
                self.now[i] = 0
                observation = self._begin(i) if self.trial[i] < home.horizon else self.seen[i]
            self.seen[i] = observation
        return score

    def percept(self) -> Percept:
        """Returns the percepts of all lifetimes."""
        begins = (self.now == 0) & ((self.trial == 0) | self.home.forgets)
        step = np.zeros_like(self.now) if self.home.by_steps else self.now
        fields = (self.seen, self.acted, self.paid, self.trial, step, begins)
        return Percept(*(x.copy() for x in fields))


def name_of(env: Any) -> str:
    """The name as the user types it, or the module and name of a function."""
    return env if isinstance(env, str) else f"{env.__module__}:{env.__qualname__}"


def _close(lanes: list[Lane]) -> None:
    for lane in lanes:
        lane.close()


def make_lane(env: Any, keywords: Mapping[str, Any], most: int, limited: bool, vector: bool, *, score: str) -> Lane:
    """Makes a lane with a new environment.

    Args:
        env: the environment's id, or a function that makes it.
        keywords: the keywords of one task, which may include attributes ('.name') and 'options'.
        most: the largest number of steps in an episode.
        limited: whether the environment itself has this limit.
        vector: whether to make a vector environment.
        score: the key of info with the expected pay-off; '' for the reward.

    Raises:
        MesascopeError: the environment is not registered, or cannot be made with these keywords.
    """
    arguments = {k: v for k, v in keywords.items() if k not in ("env", "options") and not k.startswith(".")}
    chosen, name = keywords.get("env", env), name_of(keywords.get("env", env))
    limits = {} if (limited and chosen == env) or callable(chosen) else {"max_episode_steps": most}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about newer versions and wrappers; the lane makes its own checks
            if callable(chosen):
                instance = chosen(**arguments)
                if isinstance(instance, gymnasium.Env):
                    instance = gymnasium.wrappers.TimeLimit(instance, most)
            elif vector:
                instance = gate.make_environment(gymnasium.make_vec, chosen, {"num_envs": 1, **limits, **arguments})
            else:
                options = {"disable_env_checker": True, **limits, **arguments}
                instance = gate.make_environment(gymnasium.make, chosen, options)
    except MesascopeError:
        raise
    except Exception as error:
        if isinstance(error, gymnasium.error.UnregisteredEnv | ModuleNotFoundError):
            remedy = "Type it as it is registered, with the module that registers it: module:Env-v0."
        else:
            remedy = "Give other keywords, or install what the environment needs."
        description = f" with {', '.join(f'{k}={v}' for k, v in arguments.items())}" if arguments else ""
        raise MesascopeError(
            f"{name!r} cannot be made{description}: {type(error).__name__}: {str(error)[:300]}.", remedy
        ) from error
    if not isinstance(instance, gymnasium.Env | gymnasium.vector.VectorEnv):
        raise MesascopeError(f"{name} made a {type(instance).__name__}.", "It must make a gymnasium.Env.")
    inner = instance.unwrapped if isinstance(instance, gymnasium.Env) else instance
    for key, value in keywords.items():
        if key.startswith("."):
            if not hasattr(inner, key[1:]):
                raise MesascopeError(
                    f"{name} has no attribute {key[1:]!r} to set.", "Without a dot it is a keyword of gymnasium.make."
                )
            gate.check_settings(value)
            setattr(inner, key[1:], value)
    return Lane(instance, name, score)


def read_registry(env: Any, vector: bool) -> tuple[int, float | None, bool]:
    """The registered limit of steps (0 if none), the reward_threshold, and whether to make a vector environment.

    Raises:
        MesascopeError: the id is not registered.
    """
    if not isinstance(env, str):
        return 0, None, vector
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spec = gate.make_environment(gymnasium.spec, env, {})
    except MesascopeError:
        raise
    except Exception as error:
        remedy = "Type it as it is registered, with the module that registers it: module:Env-v0."
        raise MesascopeError(f"There is no environment {env!r}: {str(error)[:300]}.", remedy) from error
    vector_only = spec.entry_point is None and spec.vector_entry_point is not None
    return spec.max_episode_steps or 0, spec.reward_threshold, vector or vector_only
