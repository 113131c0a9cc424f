"""What is disturbed: a condition changes the carry or the percept in a controlled way.

The times that a condition names are trials. Where a trial has several steps, what happens once happens before the first
step of a trial, and within a trial the carry lives on: 'before every trial' is before the first step of each.

A condition's numbers are data: one compiled scan runs every condition of every kind. So `apply` must not branch
in Python on its numbers, on `t` or on the carry; `select` and `Context.repeat` are there for that.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept

RECENT = 9  # percepts that a condition may look back on: the present one and eight before it
LAST = 2**31 - 1  # trial that a condition's number may name
Number = int | jax.Array  # of a condition; an array where one compiled scan runs several


class Respond(Protocol):
    """The subject under test."""

    def __call__(self, key: jax.Array, carry: Any, percept: Percept, /) -> Any:
        """The carry after a percept and the response to it, or the carry alone where no response is wanted."""
        ...


class Live(Protocol):
    """A step of the past, lived again otherwise."""

    def __call__(self, i: Any, carry: Any, percept: Percept, /) -> Any:
        """The carry after the response of i steps ago, had it had this carry and percept."""
        ...


class Repeat(Protocol):
    """A loop that compiles."""

    def __call__(self, low: Any, high: Any, body: Callable[[Any, Any], Any], carry: Any, /) -> Any:
        """What becomes of a carry under body(i, carry) for i from low to high - 1."""
        ...


class Context(NamedTuple):
    """What a condition may use at a step of a trial; N is the block's 64 lifetimes. i counts steps back, from 0.

    Attributes:
        trial: t, the trial.
        random: random() is the key of the condition's own draws at this step.
        fresh: the carry at birth.
        start: the start-of-life percept.
        past: past(i) is the percept of i steps ago, for i below RECENT · S (meaningless before birth). Where trials
            have several steps, only for conditions that say `looks_back`.
        partner: [N] another lifetime of the block for each one, never itself, a new one every trial.
        exchange: exchange(i, percept) is the percept of i steps ago with the outcome that a donor got there, at the
            same step of the same trial, in place of its own; a donor whose trial was over then lends a feedback of 0.
            Donors are lifetimes on fresh tasks of their own, numbered like the partners.
        flip: flip(percept) is the percept had the last outcome been the opposite one.
        reborn: reborn(percept) is the percept had life begun here: the start-of-life percept, and what a task of
            several steps shows now.
        choices: K, None where actions are real numbers.
        steps: S, the most steps in a trial.
        step: the coming step inside its trial, from 0.
        begins: whether a trial begins now; True with S = 1.
        comes: comes(at) says whether trial `at` begins now.
        key: key(i) is the key that the subject's response of i steps ago draws from.
        respond: respond(key, carry, percept) → carry, response, of the subject under test.
        live: live(i, carry, percept) → the carry after the response of i steps ago, had it had this carry and percept;
            lifetimes whose trial was over then keep theirs.
        repeat: repeat(low, high, body, carry) applies body(i, carry) for i from low to high - 1.
        absorb: absorb(key, carry, percept) → the carry that `respond` would give, where its response is not wanted.
    """

    trial: Any
    random: Callable[[], jax.Array]
    fresh: Any
    start: Percept
    past: Callable[[Any], Percept]
    partner: jax.Array
    exchange: Callable[[Any, Percept], Percept]
    flip: Callable[[Percept], Percept]
    as_first: Callable[[Percept], Percept]
    choices: int | None
    steps: int
    step: Any
    begins: Any
    comes: Callable[[Any], Any]
    key: Callable[[Any], jax.Array]
    respond: Respond
    live: Live
    repeat: Repeat
    absorb: Respond


class Condition(eqx.Module):
    """A controlled disturbance; subclasses are final and their fields are numbers.

    Attributes:
        one_step: the disturbed response is recorded, but the life goes on undisturbed; at every step of every trial.
        needs_donors: uses `Context.exchange`, so an intact run on fresh tasks comes first.
        looks_back: uses `Context.past` or `Context.live` beyond the present step.
    """

    one_step: ClassVar[bool] = False
    needs_donors: ClassVar[bool] = False
    looks_back: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The condition with its numbers, unique within a run; by default the file's name and all fields."""
        numbers = ",".join(f"{field.name}={getattr(self, field.name)}" for field in dataclasses.fields(self))
        return type(self).__module__.rpartition(".")[2] + (f":{numbers}" if numbers else "")

    @property
    def draw(self) -> int:
        """Which draw of partners and donors this is: its replicate, where it has one."""
        return int(getattr(self, "replicate", 0))

    @property
    def asks(self) -> int:
        """How many responses it asks for at a step, the one that is recorded included."""
        return 1 + self.one_step

    def unfit(self, family: Family) -> str | None:
        """Why the condition makes no sense for a family, in half a sentence; None where it does."""
        return None

    @abc.abstractmethod
    def apply(self, carry: Any, percept: Percept, shadow: Any, context: Context) -> tuple[Any, Percept, Any]:
        """The carry, the percept and the shadow carry as disturbed before a response.

        Args:
            carry: the subject's carry after its last response.
            percept: what the subject would see.
            shadow: a second carry, the condition's own, fresh at birth and handed on as returned.
            context: what else there is.
        """


class Intact(Condition):
    """Nothing is disturbed."""

    @property
    def label(self) -> str:
        """'intact'."""
        return "intact"

    def apply(self, carry, percept, shadow, context):
        """Nothing."""
        return carry, percept, shadow


def select(mask: Any, yes: Any, no: Any) -> Any:
    """Leaf by leaf `yes` where the mask holds, else `no`; the mask is one truth value or one per lifetime [N]."""
    if isinstance(mask, bool | np.bool_):  # a looped subject's carry may have another structure at birth
        return yes if mask else no

    def pick(a, b):
        xp = np if isinstance(a, np.ndarray) else jnp
        flags = xp.asarray(mask)
        return xp.where(
            flags.reshape(flags.shape + (1,) * (a.ndim - flags.ndim)) if flags.ndim else flags, a, b
        )

    return jax.tree.map(pick, yes, no)


def take(tree: Any, index: Any) -> Any:
    """Leaf by leaf the lifetimes named by index [N]."""
    return jax.tree.map(lambda x: x[np.asarray(index)] if isinstance(x, np.ndarray) else x[index], tree)
