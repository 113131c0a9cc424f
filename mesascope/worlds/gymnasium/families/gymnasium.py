"""Any Gymnasium environment; a trial is one episode or one step, and a lifetime is one or several episodes.

Tasks differ in the seed, in keywords of gymnasium.make (or attributes of the environment), or in the keywords that a
user's function draws. Splits differ from one another in the same ways. If actions are discrete, the split 'exchanged'
permutes them from half-way through the lifetime on. If every step is a trial, and an entry of the observation shows the
last reward, then conditions that exchange the reward also exchange this entry.
"""

import dataclasses
import functools
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import equinox as eqx
import gymnasium
import jax
import numpy as np

from mesascope.contracts import ConfiguredFamily, Percept, Split, check_range, make_configured_name, parse_bank
from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.guards import gate
from mesascope.guards.identity import hash_code
from mesascope.keys import derive_key
from mesascope.worlds.gymnasium.environments import BlockState, describe_env, make_env, read_registry
from mesascope.worlds.gymnasium.history import RewardEntry, find_evidence_of_history, find_reward_entries
from mesascope.worlds.gymnasium.variations import Range, draw_task, find_task_function, parse_ranges

FACTORY_RUNS_CODE = True  # module:Env-v0 imports the module
MAX_STEPS = 1_000_000  # the largest number of steps in a lifetime
CHANCE_EPISODES = 64  # the number of episodes from which the return of random play is estimated
_CHANCE_BY_FAMILY: dict[tuple[str, str], float] = {}


class Gymnasium(ConfiguredFamily):
    """Lifetimes in Gymnasium environments, with one environment for each lifetime; see `family` for the settings.

    A lifetime whose episode is over waits for the other lifetimes. The state is a Python object that changes in place.
    """

    env: Any = eqx.field(static=True)
    max_steps: int
    has_own_limit: bool
    ranges: tuple[tuple[str, Range], ...] = eqx.field(static=True)
    replacements: tuple[tuple[str, tuple[tuple[str, Range], ...]], ...] = eqx.field(static=True)
    task_function: Any = eqx.field(static=True)
    has_same_seed: bool
    resets_carry: bool
    returns: tuple[float, float | None, float | None]  # best, worst, chance
    score_key: str
    learner: str
    uses_vector_env: bool
    env_observation_shape: tuple[int, ...]
    has_one_step_trials: bool
    reward_entries: tuple[RewardEntry, ...] = eqx.field(static=True)
    mask_source: str

    identity_fields: ClassVar = ("name",)  # the settings determine the tasks
    is_traceable: ClassVar[bool] = False

    @property
    def controls(self) -> Mapping[str, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Random play and one fixed action, which acquire nothing; also the learner, if the user named one."""
        if self.choices is None:
            return {}
        roles = {"lookalike": "uniform", "still": "fixed"}
        return {"learner": self.learner, **roles} if self.learner else roles

    @property
    def references(self) -> Mapping[str, str]:
        """The learner for the roles 'learner' and 'discounting', if the user named one."""
        return {"learner": self.learner, "discounting": self.learner} if self.learner else {}

    @property
    def steps(self) -> int:
        """The largest number of steps in a trial: 1 if every step is a trial, else the largest number in an episode."""
        return 1 if self.has_one_step_trials else self.max_steps

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        return self.env_observation_shape

    @property
    def mask_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The number of actions if the environment says which of them are allowed, otherwise 0."""
        return (self.choices or 0) if self.mask_source else 0

    def compute_code_hash(self) -> str:
        """Hashes the settings and the code that makes the environments and the tasks."""
        varied = (self.ranges, *(ranges for _, ranges in self.replacements))
        ids = [self.env, *(e for ranges in varied for e in dict(ranges).get("env", Range()).options)]
        specs = [gymnasium.registry.get(e.rpartition(":")[2]) for e in ids if isinstance(e, str)]
        return hash_code((vars(self), specs))

    def draw(self, key: jax.Array, n: int) -> dict[str, np.ndarray]:
        """Draws n fresh tasks; see `_draw_tasks`."""
        return self._draw_tasks("fresh", key, n)

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen (with a bank), fresh, those in the settings, and exchanged.

        The split 'exchanged' needs discrete actions and more than one trial.
        """
        function_splits = getattr(self.task_function, "splits", ())
        names = dict.fromkeys(("fresh", *function_splits, *(split for split, _ in self.replacements)))
        names = (*(("seen",) if self.bank_label else ()), *names)
        splits = [Split(name, functools.partial(self._draw_tasks, name), self.horizon) for name in names]
        if self.choices is not None and self.horizon > 1:
            half = self.horizon // 2
            draw = functools.partial(self._draw_tasks, "fresh", exchange_trial=half)
            splits.append(Split("exchanged", draw, self.horizon, half))
        return tuple(splits)

    def with_bank(self, bank: str | None) -> Self:
        """Returns the same family with another bank, or without a bank (None); makes no environment."""
        size, seed = (0, 0) if bank is None else parse_bank(bank)
        settings = {**dict(self.settings or ()), "bank": size, "bank_seed": seed}
        return dataclasses.replace(
            self, name=make_configured_name(family, **settings), settings=tuple(settings.items())
        )

    def _draw_tasks(
        self, split: str, key: jax.Array, n: int, exchange_trial: int | None = None
    ) -> dict[str, np.ndarray]:
        """Draws the seed, the keywords and the first trial with exchanged actions of each lifetime, [N] each."""
        rows = np.arange(n)
        if split == "seen" and self.bank_label:
            size, seed = parse_bank(self.bank_label)
            rows = np.array([int(_make_rng(key, "of", i).integers(size)) for i in range(n)])
            key = derive_key(jax.random.key(seed), "bank")
        seeds = np.array([int(_make_rng(key, "seed", i).integers(2**31 - 1)) for i in rows.tolist()], np.int64)
        keywords = np.empty(n, object)
        for i, row in enumerate(rows.tolist()):
            keywords[i] = self._draw_keywords(_make_rng(key, "task", row), "fresh" if split == "seen" else split)
            seeds[i] = int(keywords[i].pop("seed", seeds[i]))
        at = np.full(n, self.horizon if exchange_trial is None else exchange_trial, np.int32)
        return {"seed": seeds, "keywords": keywords, "exchanged": at}

    def _draw_keywords(self, rng: np.random.Generator, split: str) -> dict[str, Any]:
        keywords = {k: values.draw_value(rng) for k, values in self.ranges}
        if self.task_function:
            keywords |= draw_task(self.task_function, rng, split)
        return keywords | {k: values.draw_value(rng) for k, values in dict(self.replacements).get(split, ())}

    def begin(self, key: jax.Array, tasks: Any) -> tuple[Any, Percept]:
        """Makes and resets a separate environment for each lifetime."""
        state = BlockState(self, tasks, _make_rng(key, "lives").integers(2**31 - 1, size=len(tasks["seed"])))
        return state, state.make_percept()

    def step(self, key: jax.Array, tasks: Any, state: Any, action: np.ndarray) -> tuple[Any, Percept, np.ndarray]:
        """Takes one step in every lifetime, except in those whose action is -1 (NaN if actions are real)."""
        score = state.step(np.asarray(action))
        return state, state.make_percept(), score

    def find_idle(self, state: Any) -> np.ndarray:
        """Returns whether each lifetime's trial is over, so that the lifetime waits for the others, [N]."""
        return (state.episode_step == 0) & (state.trial > 0) & (not self.has_one_step_trials)

    def with_outcome(self, percept: Percept, feedback: np.ndarray, observation: np.ndarray) -> Percept:
        """Returns the percept with another lifetime's last reward.

        The entries of the observation that show the last reward are replaced too, except in the first observation of an
        episode, which shows no reward.
        """
        new_observation = percept.observation
        if self.reward_entries:
            new_observation = new_observation.copy()
            flat = new_observation.reshape(len(new_observation), -1)
            rows = np.asarray(percept.trial % self.max_steps if self.has_one_step_trials else percept.step) > 0
            for entry in self.reward_entries:
                flat[rows, entry.index] = entry.scale * np.asarray(feedback)[rows] + entry.offset
        return percept._replace(feedback=feedback, observation=new_observation)

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Returns the percept with the opposite last reward, 1 - reward, also where the observation shows it."""
        return self.with_outcome(percept, 1.0 - percept.feedback, percept.observation)

    def compute_latents(self, tasks: Any, split: str) -> dict[str, np.ndarray]:
        """Returns the latents best, worst and chance (returns of a trial) and fixed (unknown, so NaN), each [N, T].

        Raises:
            MesascopeError: `best` is not above the return of random play.
        """
        best, worst, chance = self.returns
        chance = self._estimate_chance(split) if chance is None else chance
        if not best > chance:
            raise MesascopeError(
                f"best={best:g} of {self.name} is not above {chance:.4g}, the return of random play on {split}.",
                "Set best to the return of the best policy in one "
                f"{'step' if self.has_one_step_trials else 'episode'}.",
            )
        result = {"chance": chance, "best": best, "fixed": np.nan}
        result["worst"] = 2 * chance - best if worst is None else min(worst, chance)
        shape = (len(tasks["seed"]), self.horizon)
        return {k: np.full(shape, v, np.float32) for k, v in result.items()}

    def _estimate_chance(self, split: str) -> float:
        """Estimates the mean return of a trial of random play from 64 episodes, each on a task of its own."""
        split = "fresh" if split in ("seen", "exchanged") else split
        unlimited = self.with_bank(None)
        identity = (unlimited.compute_code_hash(), split)
        if identity not in _CHANCE_BY_FAMILY:
            key = derive_key(jax.random.key(0), "chance")
            single = dataclasses.replace(unlimited, horizon=self.max_steps if self.has_one_step_trials else 1)
            state, _ = single.begin(key, single.get_split(split).draw(key, CHANCE_EPISODES))
            rng, total, is_real = _make_rng(key, "play"), np.zeros(CHANCE_EPISODES), self.choices is None
            while (state.trial < single.horizon).any():
                if is_real:
                    action = np.array([env.draw_action(rng) for env in state.envs])
                else:
                    action = rng.integers(self.choices, size=CHANCE_EPISODES)
                total += state.step(np.where(state.trial < single.horizon, action, np.nan if is_real else -1))
            _CHANCE_BY_FAMILY[identity] = float(total.mean()) / single.horizon
        return _CHANCE_BY_FAMILY[identity]


def _make_rng(key: jax.Array, *parts: str | int) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(derive_key(key, *parts)), np.uint32).tolist())


def family(
    env: str,
    episodes: int = 0,
    steps: int = 0,
    variations: str = "",
    tasks: str = "",
    seeds: str = "",
    shifted: str = "",
    restructured: str = "",
    carry: str = "kept",
    best: str = "",
    worst: str = "",
    chance: str = "",
    score: str = "",
    learner: str = "",
    vector: bool = False,
    history: bool = False,
    bank: int = 0,
    bank_seed: int = 0,
    trial: str = "episode",
) -> Gymnasium:
    """Any Gymnasium environment; a trial is one episode or one step, and a lifetime is one or several episodes.

    Args:
        env: the environment's id, 'Env-v0', or 'module:Env-v0' if the module registers it. In Python it can also be a
            function that takes the keywords and returns an environment.
        episodes: the number of episodes in a lifetime; 0 for 10, or for 1 if every step is a trial. The number of
            trials, T, is this number, or the number of steps in all of them if every step is a trial.
        steps: the number of steps after which an episode is cut off; 0 for the registered limit.
        variations: keywords of gymnasium.make that differ between tasks, each with a range or a list of values, such as
            'length=0.4..0.6+map_name=4x4/8x8'. With a dot in front, as in '.gravity=5..15', a name is an
            attribute of the environment.
        tasks: 'module:function', or in Python a function, that takes (rng, split) and returns the keywords of one task.
            The keywords may include 'seed', 'options' of reset, 'env' and attributes. The function's attribute `splits`
            lists its splits besides 'fresh'.
        seeds: how episodes are seeded. With 'same', every episode of a lifetime begins from the task's seed, so tasks
            can differ in the seed alone; with 'new', each episode begins from a new seed. The default is 'same' if
            nothing else varies, and 'new' otherwise.
        shifted: keywords in the form of `variations`, with other values for the split 'shifted'.
        restructured: keywords in the form of `variations` for the split 'restructured'; 'env=Other-v0' uses another
            environment with the same spaces.
        carry: what happens to the subject's carry between the episodes of a lifetime: 'kept' or 'reset'. With 'reset',
            `percept.first` is true at the beginning of every episode, and subjects that read it start again (such as
            agents of stable-baselines3).
        best: the return of the best policy in one episode; by default the registered reward_threshold.
        worst: the return of the worst policy in one episode; by default as far below chance as `best` is above chance.
        chance: the mean return of random play in one episode; by default it is estimated from 64 episodes on every
            split.
        score: the key in info under which the environment reports the expected pay-off of a step; by default the score
            is the reward.
        learner: the subject that is the reference learner, as a name or 'module:factory'; '' for none.
        vector: whether to make a vector environment that contains one (gymnasium.make_vec); for ids that
            are registered for vector environments alone, this is always done.
        history: whether the observation contains the past. Stacked frames and running sums are also detected without
            this setting. If the observation contains the past, the percept contains all that a subject acquires, so
            every subject is placed at 'reactive'.
        bank: M, the number of training tasks; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
        trial: what a trial is: 'episode' (every episode is one) or 'step' (every step is one), for example if one
            episode is a whole lifetime. With 'step', every episode must have the same number of steps, and best, worst
            and chance are pay-offs of one step.
    """
    settings: dict[str, Any] = dict(locals())
    has_one_step_trials = trial == "step"
    check_range(0, MAX_STEPS, episodes=episodes, steps=steps)
    check_range(0, 1_000_000, bank=bank)
    episodes = episodes or (1 if has_one_step_trials else 10)
    for label, value, options in (
        ("seeds", seeds, ("", "same", "new")),
        ("carry", carry, ("kept", "reset")),
        ("trial", trial, ("episode", "step")),
    ):
        if value not in options:
            raise MesascopeError(f"{label}={value!r} is out of range.", f"Type {' or '.join(filter(None, options))}.")
    changes = {k: parse_ranges(v, k) for k, v in (("shifted", shifted), ("restructured", restructured)) if v}
    varied = parse_ranges(variations, "variations")
    gate.check_settings([env, *(each.options for ranges in (varied, *changes.values()) for each in ranges.values())])
    if ":" in learner and "=" not in learner:
        gate.require_allowed(learner, "The learner")
        learner = f"function:path={learner}"
    task_function = find_task_function(tasks) if tasks else None
    registered_limit, threshold, vector = read_registry(env, vector)
    if not steps and not registered_limit:
        raise MesascopeError(
            f"{describe_env(env)} has no limit of steps (max_episode_steps), so an episode may never end.",
            "Set steps=, the number of steps after which an episode is cut off.",
        )
    has_own_limit = bool(registered_limit) and steps in (0, registered_limit)
    if (vector and not has_own_limit) or (callable(env) and steps == 0):
        raise MesascopeError(
            f"mesascope cannot cut off an episode of {describe_env(env)}.", "Leave out steps or vector."
        )
    if (max_steps := steps or registered_limit) * episodes > MAX_STEPS:
        raise MesascopeError(
            f"A lifetime of {episodes:,} episodes of {max_steps:,} steps is too long.",
            f"Set steps and episodes so that their product is at most {MAX_STEPS:,}.",
        )
    returns = {k: _parse_number(k, v) for k, v in (("best", best), ("worst", worst), ("chance", chance))}
    if returns["best"] is None and threshold is not None:
        returns["best"] = threshold / max_steps if has_one_step_trials else threshold
    if returns["best"] is None:
        raise MesascopeError(
            f"The return of the best policy in an episode of {describe_env(env)} is not known.",
            "Set best= to this return; gains are measured relative to it.",
        )
    settings |= {"env": describe_env(env), "tasks": describe_env(tasks) if tasks else "", "vector": vector}
    keywords: dict[str, Any] = {k: values.draw_value(np.random.default_rng(0)) for k, values in varied.items()}
    if task_function:
        keywords |= draw_task(task_function, np.random.default_rng(0), "fresh")
    keywords = {k: v for k, v in keywords.items() if k not in ("seed", "options")}
    checked_env = make_env(keywords, env, max_steps, has_own_limit, vector, score)
    checked_env.mask_source = checked_env.find_mask_source()
    evidence = "" if history else find_evidence_of_history(checked_env)
    if evidence:
        settings["history"] = True
        warnings.warn(
            f"Observations of {checked_env.name} contain the past ({evidence}). All that a subject acquires is then in "
            "its percept, so every subject is placed at 'reactive'.",
            MesascopeWarning,
            stacklevel=2,
        )
    reward_entries = find_reward_entries(checked_env) if has_one_step_trials else ()
    if has_one_step_trials and not reward_entries:
        warnings.warn(
            f"Observations of {checked_env.name} do not show the last reward. So an agent that uses the observation "
            "alone cannot detect exchanged rewards, and a benefit of 0 gives no information about this agent.",
            MesascopeWarning,
            stacklevel=2,
        )
    checked_env.shows_mask = bool(checked_env.mask_source)  # now, after observations without it were searched
    result = Gymnasium(
        name=make_configured_name(family, **settings),
        choices=checked_env.action_converter.choices,
        horizon=episodes * max_steps if has_one_step_trials else episodes,
        env=env,
        max_steps=max_steps,
        has_own_limit=has_own_limit,
        ranges=tuple(varied.items()),
        replacements=tuple((k, tuple(ranges.items())) for k, ranges in changes.items()),
        task_function=task_function,
        has_same_seed=seeds == "same" or (not seeds and not varied and not task_function),
        resets_carry=carry == "reset",
        returns=(float(returns["best"]), returns["worst"], returns["chance"]),
        score_key=score,
        learner=learner,
        uses_vector_env=vector,
        env_observation_shape=checked_env.observation_shape,
        has_one_step_trials=has_one_step_trials,
        reward_entries=reward_entries,
        mask_source=checked_env.mask_source,
        settings=tuple(settings.items()),
    )
    checked_env.close()
    return result


def _parse_number(setting: str, value: Any) -> float | None:
    """Converts a setting to a number; returns None if the setting is left out."""
    if value in ("", None):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise MesascopeError(f"{setting}={value!r} is not a number.", f"Type e.g. {setting}=1.")
    return number
