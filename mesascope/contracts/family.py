"""Families: a family is a distribution of tasks, with the splits on which subjects are tested.

In shapes, N is the number of lifetimes, T of trials in a lifetime, S of steps in a trial, K of actions, M of tasks, and
D of numbers in an observation.
"""

import abc
import dataclasses
import functools
import inspect
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

import equinox as eqx
import jax
import numpy as np

from mesascope.contracts.bank_draws import draw_from_bank
from mesascope.contracts.banks import parse_bank
from mesascope.contracts.payoffs import (
    compute_every_payoff,
    compute_values_by_action,
    make_payoff_latents,
    select_payoffs,
)
from mesascope.contracts.percept import Array, Percept
from mesascope.contracts.split import FRESH, Split
from mesascope.errors import MesascopeError, require_known_name
from mesascope.guards.identity import hash_code
from mesascope.keys import derive_key

T = TypeVar("T")
FIXED_ACTION_SAMPLE_SIZE = 1024  # the number of tasks over which pay-offs are averaged to find the best fixed action


class Family(eqx.Module):
    """A distribution of tasks. Subclasses are final, and must define `draw`, `begin`, `step`, and one of
    `compute_best_payoffs` and `compute_latents`. Families that differ only in arrays (the bank) share compiled code.

    Attributes:
        name: the family with its settings, as a user would type it.
        choices: K, the number of actions, or None if actions are real numbers. Real actions are float32 [N], and
            subjects report no log-probabilities of them.
        horizon: T, the number of trials in a standard lifetime, each of at most S steps.
        settings: names and values of the factory's arguments; None if the factory does not use `keep_settings`.
        controls: role → scripted subject; the roles are 'learner', 'lookalike' and 'still', or some of these.
        references: role → reference procedure: 'learner' and 'discounting' on every split, 'locator' if there is a
            bank, 'strongest' on fresh tasks, and versions of the first three that work 'against' the pay-off. If
            references depend on settings, the family defines `references` as a property.
        has_full_feedback: whether the outcome that `with_outcome` replaces is independent of the action.
        identity_fields: the fields that only identify the family; `begin`, `step` and draws must not read them.
        is_traceable: whether the family is pure JAX code, which is compiled. Otherwise draws, `begin` and `step` use
            NumPy arrays, hidden states and tasks may contain Python objects, and lifetimes run in a Python loop.
    """

    name: eqx.AbstractVar[str]
    choices: eqx.AbstractVar[Any]  # int | None
    horizon: eqx.AbstractVar[int]
    settings: tuple[tuple[str, Any], ...] | None = eqx.field(default=None, kw_only=True)
    controls: ClassVar[Mapping[str, str]] = {}
    references: ClassVar[Mapping[str, str]] = {}
    has_full_feedback: ClassVar[bool] = False
    identity_fields: ClassVar[tuple[str, ...]] = ("name", "settings")
    is_traceable: ClassVar[bool] = True
    mask_size: ClassVar[int] = 0  # entries at an observation's end that say which actions are allowed

    @abc.abstractmethod
    def draw(self, key: jax.Array, n: int) -> Any:
        """Draws n fresh tasks: a pytree whose leaves have leading axis n."""

    @abc.abstractmethod
    def begin(self, key: jax.Array, tasks: Any) -> tuple[Any, Percept]:
        """Starts one lifetime per task, and returns the hidden state and the first percept.

        This method and `step` must not read the bank.
        """

    @abc.abstractmethod
    def step(self, key: jax.Array, tasks: Any, state: Any, action: Array) -> tuple[Any, Percept, Array]:
        """Executes the actions [N] of one step, and returns the next hidden state, the next percept and the scores [N].

        A score is an expected pay-off. If trials can end early, the leaves of the state must have leading axis N.
        """

    def compute_best_payoffs(self, tasks: Any) -> Array:
        """Computes the expected pay-off [N, T] of the best action; a family must define this method or
        `compute_latents`."""
        problem = f"{self.name} does not say what the best action pays."
        raise MesascopeError(problem, "Define compute_best_payoffs(tasks), or compute_latents(tasks, split).")

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits on which subjects are tested: 'fresh' (the default), 'seen' with a bank, and others."""
        return (Split(FRESH, self.draw, self.horizon),)

    def get_split(self, name: str) -> Split:
        """Returns the split with this name.

        Raises:
            MesascopeError: there is no such split.
        """
        splits = {split.name: split for split in self.list_splits()}
        return splits[require_known_name("split", name, splits)]

    @property
    def split_names(self) -> tuple[str, ...]:
        """The names of the splits, in the order of `list_splits`."""
        return tuple(split.name for split in self.list_splits())

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The shape of one observation, (D,) for a vector."""
        if not self.is_traceable:
            key = jax.random.key(0)
            return tuple(self.begin(key, self.draw(key, 1))[1].observation.shape[1:])
        leaves, kind = jax.tree.flatten(self)
        shapes = (jax.ShapeDtypeStruct(x.shape, x.dtype) if eqx.is_array(x) else x for x in leaves)
        return _trace_observation_shape(kind, tuple(shapes))

    @property
    def steps(self) -> int:
        """S, the maximum number of steps in a trial; every call of `step` is one step. Families can override it."""
        return 1

    def find_idle(self, state: Any) -> Array | None:
        """Returns for each lifetime [N] whether its trial has ended early; None if every trial has S steps.

        All lifetimes begin a trial together. The percept after a trial's last step contains that step's feedback, the
        next trial's index, step 0, and the next trial's first observation. A lifetime whose trial ended early is idle
        until the others are ready; `find_idle` is not called at a trial's first step. The carry, percept and state of
        an idle lifetime do not change, whatever `step` returns for it. In a family that is not traceable, `step`
        receives the action -1 (NaN if actions are real) for an idle lifetime and must not change its state.
        """
        return None

    def compute_code_hash(self) -> str:
        """Computes a hash of the family's settings, bank and code."""
        return hash_code(self)

    def mark_as_first(self, percept: Percept, first_percept: Percept) -> Percept:
        """Marks a percept as first: returns `first_percept`, with the observation of `percept` if S > 1."""
        return first_percept if self.steps == 1 else first_percept._replace(observation=percept.observation)

    @property
    def bank_label(self) -> str | None:
        """The name of the bank, 'bank:M@seed'; None if the tasks are unlimited."""
        settings = dict(self.settings or ())
        return f"bank:{settings['bank']}@{settings['bank_seed']}" if settings.get("bank") else None

    def with_settings(self, name: str, settings: Mapping[str, Any]) -> Self:
        """Returns the same family with these settings, and with this name if the family has no name yet."""
        new_fields = self.name or name, tuple(settings.items())
        return eqx.tree_at(lambda f: (f.name, f.settings), self, new_fields, is_leaf=lambda x: x is None)

    def with_bank(self, bank: str | None) -> Self:
        """Returns the same family with another bank, 'bank:M@seed', or without a bank (None).

        Raises:
            MesascopeError: the family has no banks, `bank` does not have this form, or the bank cannot be drawn.
        """
        if bank == self.bank_label:
            return self
        factory = getattr(sys.modules[type(self).__module__], "family", None)
        if self.settings is None or factory is None or "bank" not in inspect.signature(factory).parameters:
            problem = f"{self.name} has no banks, so {bank!r} is not one of its banks."
            raise MesascopeError(problem, "Say --trained-on unknown or unlimited.")
        size, seed = parse_bank(bank) if bank else (0, 0)
        return factory(**{**dict(self.settings), "bank": size, "bank_seed": seed})

    def compute_latents(self, tasks: Any, split: str) -> dict[str, np.ndarray]:
        """Computes pay-offs that the subject does not observe: at least chance, best, worst and fixed, each [N, T].

        `fixed` is the expected pay-off of the policy that is best on this split among policies that do not adapt. The
        default implementation tries every action on every trial, which is correct if actions affect only the pay-off.
        The result of the default implementation also contains `means` [N, T, K].

        Raises:
            MesascopeError: actions are real numbers, trials have several steps, or JAX cannot trace the family; such a
                family must define this method.
        """
        best = np.asarray(self.compute_best_payoffs(tasks))
        if self.choices is None or self.steps > 1 or not self.is_traceable:
            problem = f"{self.name} does not define the pay-off of chance."
            remedy = "Define compute_latents(tasks, split): chance, best, worst and fixed, each [N, T]."
            raise MesascopeError(problem, remedy)
        trials = self.get_split(split).trial_count
        means = np.asarray(compute_every_payoff(self, tasks, trials))
        sample = self.get_split(split).draw(derive_key(jax.random.key(0), FRESH), FIXED_ACTION_SAMPLE_SIZE)
        values = compute_every_payoff(self, sample, trials)
        best_fixed = np.asarray(values).mean(0).argmax(-1)  # [T]
        return make_payoff_latents(means, means[:, np.arange(trials), best_fixed]) | {"best": best}

    @property
    def can_value_actions(self) -> bool:
        """Whether the family can compute what single actions are worth, as deletion and transplant need.

        A family can compute this if it defines `compute_action_values`. A traceable family of one-step choices also can
        if its own `compute_latents` returns `means`, or if it has the default one and empty observations. Otherwise the
        best action may depend on the observation, which the default `compute_action_values` ignores.
        """
        if type(self).compute_action_values is not Family.compute_action_values:
            return True
        if self.steps > 1 or self.choices is None or not self.is_traceable:
            return False
        if type(self).compute_latents is Family.compute_latents:
            return self.observation_shape == (0,)
        return "means" in self.compute_latents(self.draw(derive_key(jax.random.key(0), FRESH), 1), FRESH)

    @property
    def has_payoff_values(self) -> bool:
        """Whether the worth of an action is the pay-off of its trial minus chance; by default if trials have one step.

        A family that values only a component of the action overrides this property.
        """
        return self.steps == 1

    def compute_action_values(
        self, tasks: Any, split: str, observation: np.ndarray, action: np.ndarray
    ) -> np.ndarray | None:
        """Computes the worth [N, T, M] of an action on each of M tasks, given the observations.

        The worth is the action's expected pay-off minus the latent `chance`. The default implementation uses the latent
        `means`. If the best action depends on the observation (for example on a cue), the family must override this
        method, so that every task evaluates the action for this observation. If actions are real numbers, the family
        must also override `find_best_actions`.

        If trials have several steps, the action is the first action of its trial. The worth of this action is the
        expected pay-off of the trial if all later actions are the best ones, minus the mean of this pay-off over all
        first actions.

        Args:
            tasks: the M tasks.
            split: the name of the tasks' split.
            observation: [N, T, D] what N subjects observe before the first step of each trial.
            action: [N, T] the action of each subject, or [N, T, M] one action per task.

        Returns:
            The worth; None if the family cannot compute it. The default implementation returns None if trials have
            several steps.
        """
        latents = self.compute_latents(tasks, split)
        if "means" not in latents or self.steps > 1:
            return None
        return select_payoffs(compute_values_by_action(latents), action)

    def find_best_actions(self, tasks: Any, split: str, observation: np.ndarray) -> np.ndarray | None:
        """Finds the best action [N, T, M] on each of M tasks, for subjects with these observations [N, T, D].

        Returns:
            The actions; None if `compute_action_values` returns None, or if actions are real numbers.
        """
        shape = observation.shape[:2]
        worth = [
            self.compute_action_values(tasks, split, observation, np.full(shape, a)) for a in range(self.choices or 0)
        ]
        known_worth = [w for w in worth if w is not None]
        return np.argmax(known_worth, 0) if known_worth else None

    def with_outcome(self, percept: Percept, feedback: Array, observation: Array) -> Percept:
        """Replaces the last outcome in a percept with that of another lifetime; by default only the feedback [N].

        If the observation [N, D] reveals the outcome, the family must also replace the observation, so that both agree.
        """
        return percept._replace(feedback=feedback)

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Replaces the last outcome in a percept with the opposite one; by default the feedback becomes 1 - feedback.

        If the observation also shows earlier events, such as the last cue, the family must also exchange these events
        on every second trial. Otherwise a subject that copies these events would seem to ignore its percept.
        """
        return percept._replace(feedback=1.0 - percept.feedback)

    def read_target(self, percept: Percept) -> Array | None:
        """Reads the correct action [N] of the trial whose outcome the percept reports; by default None (unknown)."""
        return None

    def describe_step(self, action: Any, feedback: float) -> str:
        """Describes an action and its feedback in words."""
        if self.choices is None:
            return f"did {action:.4g}, got {feedback:g}"
        return f"chose {action + 1} of {self.choices}, got {feedback:g}"


class ConfiguredFamily(Family):
    """A family whose factory names it after its settings (see `keep_settings`).

    Attributes:
        bank_tasks: the training tasks of the bank, if the family stores them; leaves have leading axis M.
    """

    name: str = eqx.field(default_factory=str, kw_only=True)
    choices: Any = eqx.field(kw_only=True)
    horizon: int = eqx.field(kw_only=True)
    bank_tasks: Any = eqx.field(default=None, kw_only=True)

    def make_split(
        self,
        name: str,
        *,
        change_trial: int | None = None,
        is_counted: bool = True,
        is_beyond_banks: bool = False,
        part_count: int = 0,
        is_drifting: bool = False,
        digit_bases: tuple[int, ...] = (),
        **change: Any,
    ) -> Split:
        """Makes a split whose tasks `draw` draws.

        The arguments in `change` are passed to `draw`; if `trials` is among them, it also sets the number of trials.
        `Split` explains the other arguments.
        """
        draw = functools.partial(self.draw, **change) if change else self.draw
        trials = change.get("trials", self.horizon)
        return Split(
            name, draw, trials, change_trial, is_counted, is_beyond_banks, part_count, is_drifting, digit_bases
        )

    def make_seen_split(self, key_address: str = "which") -> tuple[Split, ...]:
        """Makes a tuple with the split 'seen', or () without a bank.

        The random key that chooses tasks of the bank is derived with the text `key_address` (see `derive_key`).
        """

        def draw(key: jax.Array, n: int) -> Any:
            return draw_from_bank(derive_key(key, key_address), self.bank_tasks, n)

        return () if self.bank_tasks is None else (Split("seen", draw, self.horizon),)

    def with_fresh_bank(self, size: int, seed: int) -> Self:
        """Returns the same family with a bank of `size` fresh tasks, or without a bank if `size` is 0."""
        tasks = self.draw(derive_key(jax.random.key(seed), "bank"), size) if size else None
        return dataclasses.replace(self, bank_tasks=tasks)


def make_reference_roles(
    learner: str,
    discounting: str,
    locator: str = "",
    *,
    strongest: str = "",
    against_setting: str = "should_minimise=True",
) -> dict[str, str]:
    """Makes the mapping of roles to references, for `Family.references`.

    Each argument but the last names a reference with its settings; '' leaves out the role. `against_setting` makes the
    first three work against the pay-off, in roles such as 'learner against'; pass '' if they have no such setting.
    """
    first = {k: v for k, v in {"learner": learner, "discounting": discounting, "locator": locator}.items() if v}
    opposed = first if against_setting else {}
    other = {f"{k} against": f"{v}{',' if ':' in v else ':'}{against_setting}" for k, v in opposed.items()}
    return {**first, **({"strongest": strongest} if strongest else {}), **other}


def require_family(family: Family, family_class: type[T], lack_description: str, remedy: str) -> T:
    """Returns the family if it is an instance of a class.

    Args:
        family: any family.
        family_class: the class of families, or the capability, that is required.
        lack_description: what the message says after the name of any other family, such as 'shows no maze'.
        remedy: what to type instead.

    Raises:
        MesascopeError: the family is not an instance of `family_class`.
    """
    if not isinstance(family, family_class):
        raise MesascopeError(f"{family.name} {lack_description}.", remedy)
    return family


def require_bank(family: Family, tasks: T | None, lack_description: str, remedy: str) -> tuple[str, T]:
    """Returns the name of a family's bank, and the bank's tasks.

    Args:
        family: any family.
        tasks: the tasks of its bank; None without a bank.
        lack_description: what the message says after the name of a family without a bank, such as 'has no training
            mazes'.
        remedy: what to type instead.

    Raises:
        MesascopeError: the family has no bank.
    """
    if family.bank_label is None or tasks is None:
        raise MesascopeError(f"{family.name} {lack_description}.", remedy)
    return family.bank_label, tasks


@functools.lru_cache(maxsize=256)
def _trace_observation_shape(structure: Any, leaves: tuple[Any, ...]) -> tuple[int, ...]:
    """Computes the shape of one observation of the family with this tree structure and these leaves, and caches it."""

    def begin(family: Family) -> Percept:
        key = jax.random.key(0)
        return family.begin(key, family.draw(key, 1))[1]

    return tuple(eqx.filter_eval_shape(begin, jax.tree.unflatten(structure, leaves)).observation.shape[1:])
