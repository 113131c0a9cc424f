"""Environments of others: found in Gymnasium's registry, made in lanes, and a block of lifetimes in them."""

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
    """A block of lifetimes: lanes, the trial [N] and the step [N] of each, and what each sees.

    It is written into, as Gymnasium's environments are. `home` is the family.
    """

    def __init__(self, home: Any, tasks: Mapping[str, np.ndarray], lives: np.ndarray):
        self.home, self.tasks, self.lives = home, tasks, lives
        n = len(lives)
        # one of its own for every lifetime: what it keeps over episodes must not reach the next lifetime
        self.lanes = [
            make_lane(home.env, told, home.most, home.limited, home.vector, score=home.told)
            for told in tasks["made"]
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
        """The first observation of the coming episode."""
        seed = int(self.tasks["seed"][i])
        if not self.home.again:
            seed = int(
                np.random.default_rng([seed, int(self.lives[i]), int(self.trial[i])]).integers(2**31 - 1)
            )
        return self.lanes[i].reset(seed, self.tasks["made"][i].get("options"))

    def step(self, action: np.ndarray) -> np.ndarray:
        """Takes a step of every lifetime that is not idle: the scores [N]."""
        score = np.zeros(len(action), np.float32)
        home, k, most = self.home, self.home.choices, self.home.most
        for i, lane in enumerate(self.lanes):
            asked = action[i]
            if (asked < 0) if k is not None else np.isnan(asked):
                continue
            swapped = k is not None and self.trial[i] >= self.tasks["exchanged"][i]
            seen, self.paid[i], score[i], over = lane.step((asked + 1) % k if swapped else asked)
            self.acted[i] = asked
            self.now[i] += 1
            if not over and self.now[i] >= most:
                raise MesascopeError(
                    f"An episode of {lane.name} was not over after {most:,} steps"
                    f"{', its own limit' if home.limited else ''}.",
                    "Set steps to the most steps of an episode, or let the environment end it.",
                )
            if over:
                lane.counted()
                self.trial[i], self.now[i] = self.trial[i] + 1, 0
                seen = self._begin(i) if self.trial[i] < home.horizon else self.seen[i]
            self.seen[i] = seen
        return score

    def percept(self) -> Percept:
        """What each lifetime sees."""
        begins = (self.now == 0) & ((self.trial == 0) | self.home.forgets)
        told = (self.seen, self.acted, self.paid, self.trial, self.now, begins)
        return Percept(*(x.copy() for x in told))


def name_of(thing: Any) -> str:
    """A name as it is typed, or where a function stands."""
    return thing if isinstance(thing, str) else f"{thing.__module__}:{thing.__qualname__}"


def _close(lanes: list[Lane]) -> None:
    for lane in lanes:
        lane.close()


def make_lane(
    env: Any, told: Mapping[str, Any], most: int, limited: bool, vector: bool, *, score: str
) -> Lane:
    """Makes one environment.

    Raises:
        MesascopeError: Gymnasium knows no such environment, or it cannot be made with these keywords.
    """
    given = {k: v for k, v in told.items() if k not in ("env", "options") and not k.startswith(".")}
    chosen, name = told.get("env", env), name_of(told.get("env", env))
    limit = {} if (limited and chosen == env) or callable(chosen) else {"max_episode_steps": most}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of newer versions, of wrappers: the lane looks for itself
            if callable(chosen):
                made = chosen(**given)
                if isinstance(made, gymnasium.Env):
                    made = gymnasium.wrappers.TimeLimit(made, most)
            elif vector:
                made = gate.make_environment(gymnasium.make_vec, chosen, {"num_envs": 1, **limit, **given})
            else:
                told_of = {"disable_env_checker": True, **limit, **given}
                made = gate.make_environment(gymnasium.make, chosen, told_of)
    except MesascopeError:
        raise
    except Exception as error:
        if isinstance(error, gymnasium.error.UnregisteredEnv | ModuleNotFoundError):
            remedy = "Type it as it is registered, with the module that registers it: module:Env-v0."
        else:
            remedy = "Give it other keywords, or install what it needs."
        told_so = f" with {', '.join(f'{k}={v}' for k, v in given.items())}" if given else ""
        raise MesascopeError(
            f"{name!r} cannot be made{told_so}: {type(error).__name__}: {str(error)[:300]}.", remedy
        ) from error
    if not isinstance(made, gymnasium.Env | gymnasium.vector.VectorEnv):
        raise MesascopeError(f"{name} made a {type(made).__name__}.", "It is to make a gymnasium.Env.")
    inner = made.unwrapped if isinstance(made, gymnasium.Env) else made
    for key, value in told.items():
        if key.startswith("."):
            if not hasattr(inner, key[1:]):
                raise MesascopeError(
                    f"{name} has no attribute {key[1:]!r} to set.",
                    "Without a dot it is a keyword of gymnasium.make.",
                )
            gate.check_settings(value)
            setattr(inner, key[1:], value)
    return Lane(made, name, score)


def read_registry(env: Any, vector: bool) -> tuple[int, float | None, bool]:
    """The registry's most steps of an episode (0 without), its reward_threshold, and whether it is a vector's.

    Raises:
        MesascopeError: nothing is registered by that id.
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
    only = spec.entry_point is None and spec.vector_entry_point is not None
    return spec.max_episode_steps or 0, spec.reward_threshold, vector or only
