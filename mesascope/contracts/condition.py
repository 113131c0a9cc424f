"""Conditions: controlled disturbances of the carry or the percept.

A condition counts time in trials. If trials have several steps, 'at trial t' and 'before every trial' mean before the
first step of the trial, and the carry persists within the trial. Some conditions act at every step instead.

JAX traces the numbers in a condition, because one compiled scan runs all conditions. So `apply` must not use Python
branches that depend on these numbers, on the trial or on the carry; use `select` and `ConditionContext.repeat` instead.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept

READABLE_PERCEPTS = 17  # the number of percepts that a condition can read: the present one and the sixteen before
MAX_TRIAL_INDEX = 2**31 - 1  # the largest index of a trial in the settings of a condition
Number = int | jax.Array  # a numeric setting of a condition; an array if one compiled scan runs several conditions


RespondFunction = Callable[[jax.Array, Any, Percept], Any]  # see `ConditionContext`
RepeatFunction = Callable[[Any, Any, Callable[[Any, Any], Any], Any], Any]  # see `ConditionContext`


class ConditionContext(NamedTuple):
    """The inputs of a condition at one step. N is the number of lifetimes in a block, 64; i is a number of steps back.

    Attributes:
        trial: t, the index of the present trial.
        draw_key: draw_key() returns the random key for the condition's own draws at this step.
        fresh_carry: the carry at the start of a lifetime.
        first_percept: the first percept of a lifetime.
        get_past_percept: get_past_percept(i) returns the percept of i steps ago, for i below READABLE_PERCEPTS · S
            (undefined if the lifetime had not begun). If trials have several steps, only conditions whose `looks_back`
            is True may call this function for i above 0.
        partners: [N] the index of each lifetime's partner in the block, drawn again for every trial.
        exchange_outcome: exchange_outcome(i, percept) replaces the outcome in the percept of i steps ago with a donor's
            outcome at the same step of the same trial. The feedback is 0 if the donor's trial was over. Donors are
            lifetimes on other fresh tasks; a donor has the same index in its block as the lifetime's partner.
        flip_outcome: flip_outcome(percept) returns the percept with the opposite last outcome.
        mark_as_first: mark_as_first(percept) returns the percept in the form of a first percept (see
            `Family.mark_as_first`).
        choices: K, the number of actions, or None if actions are real numbers.
        steps: S, the maximum number of steps in a trial.
        step: the index of the coming step inside its trial, from 0.
        is_trial_start: whether a trial begins now; True if S = 1.
        is_start_of_trial: is_start_of_trial(trial) returns whether the trial with this index begins now.
        get_response_key: get_response_key(i) returns the random key of the subject's response of i steps ago.
        respond: respond(key, carry, percept) returns the subject's next carry and its response.
        respond_in_past: respond_in_past(i, carry, percept) returns the carry that the subject would have after the
            response of i steps ago, if it had had this carry and observed this percept. Lifetimes whose trial was over
            keep their carry.
        repeat: repeat(low, high, body, carry) applies body(i, carry) for i from low to high - 1, and returns the last
            carry. JAX can compile this loop.
        update_carry: update_carry(key, carry, percept) returns the carry that `respond` would return, without the
            response.
    """

    trial: Any
    draw_key: Callable[[], jax.Array]
    fresh_carry: Any
    first_percept: Percept
    get_past_percept: Callable[[Any], Percept]
    partners: jax.Array
    exchange_outcome: Callable[[Any, Percept], Percept]
    flip_outcome: Callable[[Percept], Percept]
    mark_as_first: Callable[[Percept], Percept]
    choices: int | None
    steps: int
    step: Any
    is_trial_start: Any
    is_start_of_trial: Callable[[Any], Any]
    get_response_key: Callable[[Any], jax.Array]
    respond: RespondFunction
    respond_in_past: Callable[[Any, Any, Percept], Any]
    repeat: RepeatFunction
    update_carry: RespondFunction


class Condition(eqx.Module):
    """A controlled disturbance; subclasses are final and their fields are numbers.

    Attributes:
        is_one_step: whether the condition disturbs single responses. The disturbed response is recorded at every step,
            but the lifetime continues undisturbed.
        needs_donors: whether the condition uses `ConditionContext.exchange_outcome`, so that donors must run on fresh
            tasks first.
        looks_back: whether the condition calls `ConditionContext.get_past_percept` or `respond_in_past` for steps
            before the present one.
        is_worth_recorded: whether rollouts record the worth of the disturbed responses; for one-step conditions only.
    """

    is_one_step: ClassVar[bool] = False
    needs_donors: ClassVar[bool] = False
    looks_back: ClassVar[bool] = False
    is_worth_recorded: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The condition's name with its settings, unique within a run; by default the file's name and all fields."""
        numbers = ",".join(f"{field.name}={getattr(self, field.name)}" for field in dataclasses.fields(self))
        return type(self).__module__.rpartition(".")[2] + (f":{numbers}" if numbers else "")

    @property
    def replicate_number(self) -> int:
        """The number of the replicate (a draw of partners and donors): the setting `replicate`, or 0 without it."""
        return int(getattr(self, "replicate", 0))

    @property
    def trials_since_transplant(self) -> int | None:
        """How many trials ago the donor's carry replaced the subject's own carry; None if there is no transplant."""
        return None

    @property
    def response_count(self) -> int:
        """The number of responses at each step: the recorded one and, if it is disturbed alone, the undisturbed one."""
        return 1 + self.is_one_step

    def explain_mismatch(self, family: Family) -> str | None:
        """Explains in a clause why the condition does not fit a family; returns None if it fits."""
        return None

    @abc.abstractmethod
    def apply(
        self, carry: Any, percept: Percept, second_carry: Any, context: ConditionContext
    ) -> tuple[Any, Percept, Any]:
        """Disturbs the inputs of a response.

        Args:
            carry: the subject's carry after its last response.
            percept: the percept that the subject would observe undisturbed.
            second_carry: a second carry for the condition's own use, fresh at the start of a lifetime; each call
                receives the second carry that the call before returned.
            context: the other inputs, such as the trial's index and past percepts.

        Returns:
            The carry and the percept for the response, and the second carry for the next call.
        """


class Intact(Condition):
    """The condition that disturbs nothing."""

    @property
    def label(self) -> str:
        """The label 'intact'."""
        return "intact"

    def apply(self, carry, percept, second_carry, context):
        """Returns the inputs unchanged."""
        return carry, percept, second_carry


def select(mask: Any, on_true: Any, on_false: Any) -> Any:
    """Selects, in every leaf of two pytrees, `on_true` where the mask is true, and `on_false` elsewhere.

    The mask is one boolean, or an array [N] of one boolean per lifetime.
    """
    if isinstance(mask, bool | np.bool_):  # outside JAX, the fresh carry may have another structure than later carries
        return on_true if mask else on_false

    def pick(a, b):
        xp = np if isinstance(a, np.ndarray) else jnp
        flags = xp.asarray(mask)
        return xp.where(flags.reshape(flags.shape + (1,) * (a.ndim - flags.ndim)) if flags.ndim else flags, a, b)

    return jax.tree.map(pick, on_true, on_false)


def take_rows(tree: Any, index: Any) -> Any:
    """Takes the rows with these indices [N] from every leaf of a pytree."""
    return jax.tree.map(lambda x: x[np.asarray(index)] if isinstance(x, np.ndarray) else x[index], tree)
