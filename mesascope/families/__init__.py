"""What is put to the subject: a family is a distribution of tasks, with its rings."""

import abc
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import numpy as np

from mesascope.errors import MesascopeError
from mesascope.identity import coded

Array = Any  # of JAX in compiled code, of NumPy for looped subjects


class Percept(NamedTuple):
    """All that a subject sees before it acts; every array has leading axis N (lifetimes).

    Attributes:
        observation: [N, D] what the task shows; D may be 0, and several axes may stand in its place.
        action: [N] the last action, -1 before the first; a real number, 0 before the first, where actions are real.
        feedback: [N] the noisy pay-off of the last action, 0 before the first.
        trial: [N] index of the trial of the coming step, from 0.
        step: [N] index of the coming step inside its trial, from 0.
        first: [N] true at the first step of a lifetime.
    """

    observation: Array
    action: Array
    feedback: Array
    trial: Array
    step: Array
    first: Array


class Family(eqx.Module):
    """A distribution of tasks with its rings; subclasses are final.

    Arrays in a family (its bank) are data: families that differ only there share compiled code.

    Attributes:
        name: the family with its settings, as one would type it.
        choices: K, the number of actions; None where an action is a real number: actions then are float32 [N], and
            subjects give no log-probabilities.
        horizon: T, the trials of a standard lifetime, each of at most S steps.
        controls: which scripted subject here is the learner, the lookalike and the still one.
        reported: rings that are reported and never counted.
        inexpressible: rings whose tasks no bank could hold, whatever a subject was trained on: to gain there from
            what is told is to acquire.
        tells_anyway: whether what `exchanged` takes from a donor is told whatever the donor did.
        identity: fields that only say who it is; `begin`, `step` and `draw` must not read them.
        traceable: pure JAX (scanned and compiled), or anything else: `draw`, `begin` and `step` then take and give
            NumPy arrays, the hidden state and the tasks may hold Python objects, and lifetimes are looped in Python.
    """

    name: eqx.AbstractVar[str]
    choices: eqx.AbstractVar[Any]  # int | None
    horizon: eqx.AbstractVar[int]
    controls: ClassVar[Mapping[str, str]]
    reported: ClassVar[tuple[str, ...]] = ()
    inexpressible: ClassVar[tuple[str, ...]] = ()
    tells_anyway: ClassVar[bool] = False
    identity: ClassVar[tuple[str, ...]] = ("name",)
    traceable: ClassVar[bool] = True

    @property
    def shown(self) -> tuple[int, ...]:
        """The shape of one observation, (D,) where it is a vector."""
        if not self.traceable:
            key = jax.random.key(0)
            return tuple(self.begin(key, self.draw(key, 1, "fresh"))[1].observation.shape[1:])
        leaves, kind = jax.tree.flatten(self)
        shapes = (jax.ShapeDtypeStruct(x.shape, x.dtype) if eqx.is_array(x) else x for x in leaves)
        return _shown(kind, tuple(shapes))

    @property
    def steps(self) -> int:
        """S, the most steps in a trial; every call of `step` is one step. Override it as a property."""
        return 1

    def idle(self, state: Any) -> Array | None:
        """[N] whose trial is over before its S steps are; None where every trial has S steps.

        All lifetimes begin a trial together. The step that ends a trial leads to the beginning of the next one: its
        percept tells that step's feedback, the next trial and step 0, and shows how the next trial begins. A lifetime
        whose trial ended early is idle from there until the others are ready; nobody is asked at a trial's first
        step. While it is idle its carry, percept and state stand still, whatever `step` returns for it. In a family
        that is not traceable `step` gets the action -1 (NaN where actions are real) for it and must leave its state.
        """
        return None

    def code(self) -> str:
        """A hash of its settings, its bank and the code that it was handed."""
        return coded(self)

    def reborn(self, percept: Percept, start: Percept) -> Percept:
        """The percept had life begun here: `start`, and in trials of several steps what the task shows now."""
        return start if self.steps == 1 else start._replace(observation=percept.observation)

    @property
    @abc.abstractmethod
    def references(self) -> Mapping[str, str]:
        """Reference procedures by role: 'learner' and 'discounting' on every ring, 'locator' where there is a bank,
        'strongest' on fresh; and the first three 'against' the pay-off.
        """

    @abc.abstractmethod
    def rings(self) -> tuple[str, ...]:
        """Names of the rings that apply, 'seen' only where there is a bank."""

    @property
    def bank(self) -> str | None:
        """The bank's name, 'bank:M@seed', or None where the tasks are unlimited; the field `bank_name`."""
        return getattr(self, "bank_name", None)

    @abc.abstractmethod
    def banked(self, bank: str | None) -> "Family":
        """The same family with another bank, 'bank:M@seed', or with none.

        Raises:
            MesascopeError: no such bank can be drawn.
        """

    @abc.abstractmethod
    def trials(self, ring: str) -> int:
        """The number of trials of a lifetime on a ring."""

    @abc.abstractmethod
    def draw(self, key: jax.Array, n: int, ring: str) -> Any:
        """Draws n tasks of a ring: a pytree with leading axis n."""

    @abc.abstractmethod
    def begin(self, key: jax.Array, tasks: Any) -> tuple[Any, Percept]:
        """Starts one lifetime per task: the hidden state and the start-of-life percept.

        Like `step`, it must not read the bank.
        """

    @abc.abstractmethod
    def step(self, key: jax.Array, tasks: Any, state: Any, action: Array) -> tuple[Any, Percept, Array]:
        """Takes the actions [N]: the next hidden state, the next percept, the scores [N] (expected pay-off).

        One step of a trial. The leaves of the state have leading axis N where trials may end early.
        """

    @abc.abstractmethod
    def latents(self, tasks: Any, ring: str) -> dict[str, np.ndarray]:
        """What the subject does not see: at least chance, best, worst and fixed, each [N, T], of whole trials.

        'fixed' is the expected pay-off of the best policy that cannot adapt on that ring.
        """

    def changes(self, ring: str) -> int | None:
        """The trial at which the task changes within the lifetime, where it does."""
        return None

    def exchanged(self, percept: Percept, feedback: Array, observation: Array) -> Percept:
        """The percept had its last outcome been another lifetime's: by default its feedback [N] alone is.

        A family whose observation [N, D] tells the outcome exchanges that too, and keeps the two in accord.
        """
        return percept._replace(feedback=feedback)

    def flipped(self, percept: Percept) -> Percept:
        """The percept had its last outcome been the opposite one: by default its feedback is 1 less what it was."""
        return percept._replace(feedback=1.0 - percept.feedback)

    def target(self, percept: Percept) -> Array | None:
        """[N] the action that would have been right at the trial whose outcome a percept tells, None where none is."""
        return None

    def text(self, action: Any, feedback: float) -> str:
        """One trial in words."""
        if self.choices is None:
            return f"did {action:.4g}, got {feedback:g}"
        return f"chose {action + 1} of {self.choices}, got {feedback:g}"


@functools.lru_cache(maxsize=256)
def _shown(kind: Any, leaves: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of one observation of a family of this structure: traced once, asked for by every rollout."""

    def born(family: Family) -> Percept:
        key = jax.random.key(0)
        return family.begin(key, family.draw(key, 1, "fresh"))[1]

    return tuple(eqx.filter_eval_shape(born, jax.tree.unflatten(kind, leaves)).observation.shape[1:])


def kind(ring: str) -> str:
    """The kind of a ring: 'shifted:low' is of kind 'shifted'."""
    return ring.partition(":")[0]


def parse_bank(name: str) -> tuple[int, int]:
    """The size and the seed in 'bank:M@seed'.

    Raises:
        MesascopeError: another form.
    """
    size, _, seed = name.removeprefix("bank:").partition("@")
    if not name.startswith("bank:") or not size.isdecimal() or not seed.isdecimal() or not int(size):
        raise MesascopeError(
            f"{name!r} names no bank.", "Type bank:M@seed, e.g. bank:4@0, or unlimited or unknown."
        )
    return int(size), int(seed)
