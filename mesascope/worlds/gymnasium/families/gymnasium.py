"""Any Gymnasium environment: a lifetime is a number of its episodes, a trial is one of them.

What differs between tasks is the seed, keywords of gymnasium.make (or attributes of the environment), or what a user's
function draws. Splits come about the same way; where actions are discrete, 'exchanged' renames them half-way.
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

from mesascope.contracts.configured import Configured, Percept, Split, check_range, name_with_settings
from mesascope.contracts.family import parse_bank
from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.guards import gate
from mesascope.guards.identity import hash_code
from mesascope.keys import address
from mesascope.worlds.gymnasium.environments import Lifetimes, make_lane, name_of, read_registry
from mesascope.worlds.gymnasium.history import find_history
from mesascope.worlds.gymnasium.variations import (
    Range,
    check_function,
    draw_task,
    find_function,
    parse_ranges,
)

RUNS_CODE = True  # an environment named as module:Env-v0 has its module imported
MOST = 1_000_000  # steps of a lifetime
PLAYED = 64  # episodes of even random play from which chance is estimated
_CHANCES: dict[tuple[str, str], float] = {}


class Gymnasium(Configured):
    """Lifetimes in lanes of their own: an environment each, in which an episode that is over waits for the others.

    The state is Python objects that are written into, as Gymnasium's environments are.
    """

    env: Any = eqx.field(static=True)
    most: int
    limited: bool
    vary: tuple[tuple[str, Range], ...] = eqx.field(static=True)
    changed: tuple[tuple[str, tuple[tuple[str, Range], ...]], ...] = eqx.field(static=True)
    function: Any = eqx.field(static=True)
    again: bool
    forgets: bool
    payments: tuple[float, float | None, float | None]
    told: str
    learner: str
    vector: bool
    history: bool
    size: tuple[int, ...]

    identity: ClassVar = ("name",)  # its settings say what its tasks are drawn from
    traceable: ClassVar[bool] = False

    @property
    def controls(self) -> Mapping[str, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Even play and one action for the two that acquire nothing; a learner where one was named."""
        if self.choices is None:
            return {}
        known = {"lookalike": "uniform", "still": "fixed"}
        return {"learner": self.learner, **known} if self.learner else known

    @property
    def references(self) -> Mapping[str, str]:
        """The learner that was named, or none."""
        return {"learner": self.learner, "discounting": self.learner} if self.learner else {}

    @property
    def steps(self) -> int:
        """The most steps of an episode."""
        return self.most

    @property
    def shown(self) -> tuple[int, ...]:
        """The shape of one observation."""
        return self.size

    def code(self) -> str:
        """A hash of its settings and of the code that makes its environments and tasks."""
        varied = (self.vary, *(told for _, told in self.changed))
        ids = [self.env, *(e for told in varied for e in dict(told).get("env", Range()).listed)]
        made = [gymnasium.registry.get(e.rpartition(":")[2]) for e in ids if isinstance(e, str)]
        return hash_code((vars(self), made))

    def draw(self, key: jax.Array, n: int) -> dict[str, np.ndarray]:
        """Draws n fresh tasks: see `_tasks`."""
        return self._tasks("fresh", key, n)

    def splits(self) -> tuple[Split, ...]:
        """'seen' with a bank, 'fresh', those that were named, and 'exchanged' for discrete actions."""
        own = tuple(getattr(self.function, "splits", ())) if self.function else ()
        names = ("fresh", *own, *(split for split, _ in self.changed))
        names = (*(("seen",) if self.bank else ()), *dict.fromkeys(names))
        splits = [Split(name, functools.partial(self._tasks, name), self.horizon) for name in names]
        if self.choices is not None and self.horizon > 1:
            half = self.horizon // 2
            draw = functools.partial(self._tasks, "fresh", exchanged_at=half)
            splits.append(Split("exchanged", draw, self.horizon, half))
        return tuple(splits)

    def with_bank(self, bank: str | None) -> Self:
        """The same family with another bank; no environment is made anew."""
        size, seed = (0, 0) if bank is None else parse_bank(bank)
        given = {**dict(self.settings or ()), "bank": size, "bank_seed": seed}
        return dataclasses.replace(
            self, name=name_with_settings(family, **given), settings=tuple(given.items())
        )

    def _tasks(
        self, split: str, key: jax.Array, n: int, exchanged_at: int | None = None
    ) -> dict[str, np.ndarray]:
        """Seeds [N] of the environment, keywords [N] that make it, the trial [N] from which actions are exchanged."""
        rows = np.arange(n)
        if split == "seen" and self.bank:
            size, seed = parse_bank(self.bank)
            rows = np.array([int(_rng(key, "of", i).integers(size)) for i in range(n)])
            key = address(jax.random.key(seed), "bank")
        seeds = np.array([int(_rng(key, "seed", i).integers(2**31 - 1)) for i in rows.tolist()], np.int64)
        made = np.empty(n, object)
        for i, row in enumerate(rows.tolist()):
            made[i] = self._task(_rng(key, "task", row), "fresh" if split == "seen" else split)
            seeds[i] = int(made[i].pop("seed", seeds[i]))
        at = np.full(n, self.horizon if exchanged_at is None else exchanged_at, np.int32)
        return {"seed": seeds, "made": made, "exchanged": at}

    def _task(self, rng: np.random.Generator, split: str) -> dict[str, Any]:
        over = dict(next((told for name, told in self.changed if name == split), ()))
        out = {k: told.draw(rng) for k, told in dict(self.vary).items()}
        if self.function:
            out |= draw_task(self.function, name_of(self.function), rng, split)
        return out | {k: told.draw(rng) for k, told in over.items()}

    def begin(self, key: jax.Array, tasks: Any) -> tuple[Any, Percept]:
        """An environment of its own for every lifetime."""
        lives = _rng(key, "lives").integers(2**31 - 1, size=len(tasks["seed"]))
        state = Lifetimes(self, tasks, lives)
        return state, state.percept()

    def step(
        self, key: jax.Array, tasks: Any, state: Any, action: np.ndarray
    ) -> tuple[Any, Percept, np.ndarray]:
        """One step of every lifetime whose action is not -1 (NaN where actions are real)."""
        score = state.step(np.asarray(action))
        return state, state.percept(), score

    def idle(self, state: Any) -> np.ndarray:
        """[N] whose episode is over."""
        return (state.now == 0) & (state.trial > 0)

    def latents(self, tasks: Any, split: str) -> dict[str, np.ndarray]:
        """What an episode pays at best, at worst and by even random play [N, T]; 'fixed' is not known."""
        best, worst, chance = self.payments
        chance = self._chance(split) if chance is None else chance
        if not best > chance:
            raise MesascopeError(
                f"best={best:g} of {self.name} is no more than what even random play gets on {split}, {chance:.4g}.",
                "Set best to the return of the best policy in one episode.",
            )
        told = {"chance": chance, "best": best, "fixed": np.nan}
        told["worst"] = 2 * chance - best if worst is None else min(worst, chance)
        shape = (len(tasks["seed"]), self.horizon)
        return {k: np.full(shape, v, np.float32) for k, v in told.items()}

    def _chance(self, split: str) -> float:
        """The mean return of even random play in as many episodes as tasks."""
        split = "fresh" if split in ("seen", "exchanged") else split
        plain = self.with_bank(None)
        kind = (plain.code(), split)
        if kind not in _CHANCES:
            key = address(jax.random.key(0), "chance")
            one = dataclasses.replace(plain, horizon=1)
            state, _ = one.begin(key, one.split(split).draw(key, PLAYED))
            rng, total = _rng(key, "play"), np.zeros(PLAYED)
            for _ in range(self.most):
                lived = state.trial == 0
                if not lived.any():
                    break
                if self.choices is None:
                    action = np.array([lane.random(rng) for lane in state.lanes])
                else:
                    action = rng.integers(self.choices, size=PLAYED)
                total += state.step(np.where(lived, action, np.nan if self.choices is None else -1))
            _CHANCES[kind] = float(total.mean())
        return _CHANCES[kind]

    def text(self, action: int, feedback: float) -> str:
        """One step in words."""
        return f"did {action}, got {feedback:g}"


def _rng(key: jax.Array, *parts: str | int) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(address(key, *parts)), np.uint32).tolist())


def family(
    env: str,
    episodes: int = 10,
    steps: int = 0,
    vary: str = "",
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
) -> Gymnasium:
    """Any Gymnasium environment: a trial is one episode, a lifetime several of them.

    Args:
        env: its id, 'Env-v0' or 'module:Env-v0' where the module registers it; in Python also a function that takes
            the keywords and returns an environment.
        episodes: of a lifetime.
        steps: the most of an episode, where it is cut off; 0 for the limit that the registry has.
        vary: keywords of gymnasium.make that differ between tasks, 'length=0.4..0.6+map_name=4x4/8x8': a range, or
            one of those listed; with a dot in front, '.gravity=5..15', attributes of the environment.
        tasks: 'module:function', in Python also a function: (rng, split) → the keywords of one task, with 'seed',
            'options' of reset, 'env' and attributes among them where wanted; its attribute `splits` names what it draws
            beside 'fresh'.
        seeds: 'same' begins every episode of a lifetime from the task's own seed, so that the seed is the task; 'new'
            gives each its own. By default 'same' where nothing else varies.
        shifted: as vary, what replaces it on the split 'shifted'.
        restructured: the same; 'env=Other-v0' puts another environment of the same spaces there.
        carry: 'kept' between the episodes of a lifetime; 'reset' says so to the subject: `first` is true where an
            episode begins, and what begins anew there does (agents of stable-baselines3; a function that looks).
        best: the return of the best policy in one episode, by default the registry's reward_threshold.
        worst: of the worst; by default as far below chance as best is above.
        chance: of even random play; by default estimated from 64 episodes on every split.
        score: key of info that holds the expected pay-off of a step; by default the score is the reward, realised.
        learner: a subject that learns here, as reference, by name or as module:factory.
        vector: make a vector environment of one (gymnasium.make_vec), for ids that have no other.
        history: the observation holds what happened before (found by itself for stacked frames and running sums):
            whatever is acquired then stands in the percept, and subjects read 'reactive' by construction.
        bank: how many tasks there are to be trained on; 0 for as many as one likes.
        bank_seed: of the bank.
    """
    given: dict[str, Any] = dict(locals())
    check_range(1, MOST, episodes=episodes)
    check_range(0, MOST, steps=steps)
    check_range(0, 1_000_000, bank=bank)
    for label, value, known in (("seeds", seeds, ("", "same", "new")), ("carry", carry, ("kept", "reset"))):
        if value not in known:
            raise MesascopeError(
                f"{label}={value!r} is out of range.", f"Type {' or '.join(filter(None, known))}."
            )
    changes = {k: parse_ranges(v, k) for k, v in (("shifted", shifted), ("restructured", restructured)) if v}
    varied = parse_ranges(vary, "vary")
    gate.check_settings(
        [env, *(each.listed for told in (varied, *changes.values()) for each in told.values())]
    )
    if ":" in learner and "=" not in learner:
        gate.permit(learner, "The learner")
        learner = f"function:path={learner}"
    function = (
        find_function(tasks)
        if isinstance(tasks, str) and tasks
        else tasks and check_function(tasks, name_of(tasks))
    )
    own, threshold, vector = read_registry(env, vector)
    if not steps and not own:
        raise MesascopeError(
            f"{name_of(env)} names no most steps of an episode (max_episode_steps), so it may never terminate.",
            "Set steps=, after which an episode is cut off.",
        )
    limited = bool(own) and steps in (0, own)
    if (vector and not limited) or (callable(env) and steps == 0):
        raise MesascopeError(
            f"An episode of {name_of(env)} cannot be cut off from outside.", "Leave steps out, or vector."
        )
    if (most := steps or own) * episodes > MOST:
        raise MesascopeError(
            f"A lifetime of {episodes:,} episodes of {most:,} steps is too long.",
            f"Set steps and episodes to at most {MOST:,} together.",
        )
    pays = {k: _number(k, v) for k, v in (("best", best), ("worst", worst), ("chance", chance))}
    if pays["best"] is None:
        pays["best"] = threshold
    if pays["best"] is None:
        raise MesascopeError(
            f"What the best policy gets in an episode of {name_of(env)} is not known.",
            "Set best=, the return of the best policy; it is what gains are measured by.",
        )
    given |= {"env": name_of(env), "tasks": name_of(tasks) if tasks else "", "vector": vector}
    first: dict[str, Any] = {k: told.draw(np.random.default_rng(0)) for k, told in varied.items()}
    if function:
        first |= draw_task(function, name_of(function), np.random.default_rng(0), "fresh")
    first = {k: v for k, v in first.items() if k not in ("seed", "options")}
    lane = make_lane(env, first, most, limited, vector, score=score)
    why = "" if history else find_history(lane)
    if why:
        given["history"] = True
        warnings.warn(
            f"{lane.name} puts the history into the observation ({why}): whatever a subject acquires stands in its "
            "percept, so it reads 'reactive' by construction.",
            MesascopeWarning,
            stacklevel=2,
        )
    made = Gymnasium(
        name=name_with_settings(family, **given),
        choices=lane.hand.choices,
        horizon=episodes,
        env=env,
        most=most,
        limited=limited,
        vary=tuple(varied.items()),
        changed=tuple((k, tuple(told.items())) for k, told in changes.items()),
        function=function or None,
        again=seeds == "same" or (not seeds and not varied and not function),
        forgets=carry == "reset",
        payments=(float(pays["best"]), pays["worst"], pays["chance"]),
        told=score,
        learner=learner,
        vector=vector,
        history=bool(given["history"]),
        size=lane.sight.shape,
        settings=tuple(given.items()),
    )
    lane.close()
    return made


def _number(label: str, value: Any) -> float | None:
    """A setting that is a number or left out."""
    if value in ("", None):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise MesascopeError(f"{label}={value!r} is no number.", f"Type e.g. {label}=1.")
    return number
