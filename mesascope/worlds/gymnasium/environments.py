"""Reads the registry of Gymnasium environments, makes environments, and runs blocks of lifetimes in them."""

import contextlib
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np

from mesascope.contracts import Percept
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.worlds.gymnasium.checked_env import CheckedEnv

REGISTRY_REMEDY = "Type the registered id, after the module that registers it: module:Env-v0."


class BlockState:
    """The state of a block of lifetimes. It changes in place, as the environments in it do.

    Attributes:
        envs: the environments, one for each lifetime.
        trial: [N] the index of the present trial.
        episode_step: [N] the number of steps taken in the present episode.
        action: [N] the last action.
        reward: [N] the last reward.
        observation: [N, ...] the present observation.
    """

    def __init__(self, family: Any, tasks: Mapping[str, np.ndarray], lifetime_seeds: np.ndarray):
        self.family, self.tasks, self.lifetime_seeds = family, tasks, lifetime_seeds
        n = len(lifetime_seeds)
        # one environment for every lifetime, because an environment may keep state from one episode to the next
        settings = family.env, family.max_steps, family.has_own_limit, family.uses_vector_env, family.score_key
        self.envs = [make_env(keywords, *settings, mask_source=family.mask_source) for keywords in tasks["keywords"]]
        weakref.finalize(self, _close_environments, self.envs)
        for env in self.envs:
            shape, choices = env.observation_shape, env.action_converter.choices
            if shape != family.observation_shape or choices != family.choices:
                raise MesascopeError(
                    f"{env.name} has observations {shape} and {choices} actions in one task, "
                    f"{family.observation_shape} and {family.choices} in another.",
                    "All tasks of a family must have the same spaces, so vary other keywords.",
                )
        self.trial, self.episode_step, self.reward = (np.zeros(n, kind) for kind in (np.int32, np.int32, np.float32))
        self.action = np.zeros(n, np.float32) if family.choices is None else np.full(n, -1, np.int32)
        self.observation = np.stack([self._begin_episode(i) for i in range(n)])

    def _begin_episode(self, i: int) -> np.ndarray:
        """Begins the next episode of lifetime i, and returns its first observation."""
        seed = int(self.tasks["seed"][i])
        if not self.family.has_same_seed:
            rng = np.random.default_rng([seed, int(self.lifetime_seeds[i]), int(self.trial[i])])
            seed = int(rng.integers(2**31 - 1))
        return self.envs[i].reset(seed, self.tasks["keywords"][i].get("options"))

    def step(self, action: np.ndarray) -> np.ndarray:
        """Takes a step in every lifetime that is not idle, and returns the scores [N]."""
        family, choices, max_steps = self.family, self.family.choices, self.family.max_steps
        score = np.zeros(len(action), np.float32)
        is_idle = np.isnan(action) if choices is None else action < 0
        for i in np.flatnonzero(~is_idle).tolist():
            env, chosen_action = self.envs[i], action[i]
            is_exchanged = choices is not None and self.trial[i] >= self.tasks["exchanged"][i]
            executed_action = (chosen_action + 1) % choices if is_exchanged else chosen_action
            observation, self.reward[i], score[i], is_over = env.step(executed_action)
            self.action[i] = chosen_action
            self.episode_step[i] += 1
            if not is_over and self.episode_step[i] >= max_steps:
                raise MesascopeError(
                    f"An episode of {env.name} was not over after {max_steps:,} steps"
                    f"{', its own limit' if family.has_own_limit else ''}.",
                    "Set steps to the largest number of steps in an episode, or make the environment end its episodes.",
                )
            if is_over and family.has_one_step_trials and self.episode_step[i] < max_steps:
                raise MesascopeError(
                    f"An episode of {env.name} was over after {self.episode_step[i]:,} of {max_steps:,} steps.",
                    "If every step is a trial, all episodes must have the same length: set steps, or trial=episode.",
                )
            self.trial[i] += is_over or family.has_one_step_trials
            if is_over:
                self.episode_step[i] = 0
                observation = self._begin_episode(i) if self.trial[i] < family.horizon else self.observation[i]
            self.observation[i] = observation
        return score

    def make_percept(self) -> Percept:
        """Returns the percepts of all lifetimes."""
        begins = (self.episode_step == 0) & ((self.trial == 0) | self.family.resets_carry)
        step = np.zeros_like(self.trial) if self.family.has_one_step_trials else self.episode_step
        fields = (self.observation, self.action, self.reward, self.trial, step, begins)
        return Percept(*(x.copy() for x in fields))


def describe_env(env: Any) -> str:
    """Returns an environment's id unchanged; describes a function by its module and name."""
    return env if isinstance(env, str) else f"{env.__module__}:{env.__qualname__}"


def _close_environments(envs: list[CheckedEnv]) -> None:
    for env in envs:
        env.close()


@contextlib.contextmanager
def _explain_errors(explain: Callable[[Exception], tuple[str, str]]) -> Iterator[None]:
    """Converts all errors into `MesascopeError`. Hides warnings, because `CheckedEnv` makes its own checks.

    Args:
        explain: a function that returns the problem and the remedy for an error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MesascopeError:
        raise
    except Exception as error:
        raise MesascopeError(*explain(error)) from error


def make_env(
    keywords: Mapping[str, Any],
    env: Any,
    max_steps: int,
    has_own_limit: bool,
    uses_vector_env: bool,
    score_key: str,
    mask_source: str = "",
) -> CheckedEnv:
    """Makes a new environment.

    Args:
        keywords: the keywords of one task for gymnasium.make. They may include attributes of the environment ('.name'),
            another environment ('env'), and the options of its reset ('options').
        env: the environment's id, or a function that makes it.
        max_steps: the largest number of steps in an episode.
        has_own_limit: whether the environment itself ends episodes after this number of steps.
        uses_vector_env: whether to make a vector environment.
        score_key: the key in info under which the environment reports the expected pay-off; '' to use the reward.
        mask_source: where the environment says which actions are allowed; see `CheckedEnv`.

    Raises:
        MesascopeError: the environment is not registered, cannot be made with these keywords, or lacks one of these
            attributes.
    """
    arguments = {k: v for k, v in keywords.items() if k not in ("env", "options") and not k.startswith(".")}
    task_env = keywords.get("env", env)
    name = describe_env(task_env)

    def explain(error: Exception) -> tuple[str, str]:
        is_unknown = isinstance(error, gymnasium.error.UnregisteredEnv | ModuleNotFoundError)
        remedy = REGISTRY_REMEDY if is_unknown else "Give other keywords, or install what the environment needs."
        description = f" with {', '.join(f'{k}={v}' for k, v in arguments.items())}" if arguments else ""
        return f"{name!r} cannot be made{description}: {type(error).__name__}: {str(error)[:300]}.", remedy

    with _explain_errors(explain):
        if callable(task_env):
            instance = task_env(**arguments)
            if isinstance(instance, gymnasium.Env):
                instance = gymnasium.wrappers.TimeLimit(instance, max_steps)
        else:
            limits = {} if has_own_limit and task_env == env else {"max_episode_steps": max_steps}
            if uses_vector_env:
                instance = gate.make_environment(gymnasium.make_vec, task_env, {"num_envs": 1, **limits, **arguments})
            else:
                options = {"disable_env_checker": True, **limits, **arguments}
                instance = gate.make_environment(gymnasium.make, task_env, options)
    if not isinstance(instance, gymnasium.Env | gymnasium.vector.VectorEnv):
        raise MesascopeError(f"{name} made a {type(instance).__name__}.", "Let it return a gymnasium.Env.")
    inner = instance.unwrapped if isinstance(instance, gymnasium.Env) else instance
    for key, value in keywords.items():
        if key.startswith("."):
            if not hasattr(inner, key[1:]):
                raise MesascopeError(
                    f"{name} has no attribute {key[1:]!r} to set.",
                    "Leave out the dot to set a keyword of gymnasium.make.",
                )
            gate.check_settings(value)
            setattr(inner, key[1:], value)
    return CheckedEnv(instance, name, score_key, mask_source)


def read_registry(env: Any, uses_vector_env: bool) -> tuple[int, float | None, bool]:
    """Reads an environment's limit of steps and reward_threshold; also returns whether to make a vector environment.

    The limit is 0, and the threshold None, if none is registered. If `env` is a function, nothing is registered.
    The third value is True if `uses_vector_env` is, or if the id is registered for vector environments alone.

    Raises:
        MesascopeError: the id is not registered.
    """
    if not isinstance(env, str):
        return 0, None, uses_vector_env
    with _explain_errors(lambda error: (f"There is no environment {env!r}: {str(error)[:300]}.", REGISTRY_REMEDY)):
        spec = gate.make_environment(gymnasium.spec, env, {})
    is_vector_only = spec.entry_point is None and spec.vector_entry_point is not None
    return spec.max_episode_steps or 0, spec.reward_threshold, uses_vector_env or is_vector_only
