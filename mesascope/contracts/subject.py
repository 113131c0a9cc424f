"""Subjects: the agents and models under test, scripted subjects with known answers, and reference procedures.

In shapes, N is the number of lifetimes, K of actions, and U of units of a tap.
"""

import abc
import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.percept import Array, Percept
from mesascope.guards.identity import hash_array, hash_code

if TYPE_CHECKING:
    import xarray as xr


class Response(NamedTuple):
    """The actions [N], and the log-probabilities [N, K] of all actions, or None if the subject reports none."""

    action: Array
    log_probs: Array


class Subject(eqx.Module):
    """A frozen agent or model; subclasses are final.

    Attributes:
        name: the subject with its settings, as a user would type it.
        trained_on: the tasks that the subject was trained on: 'unlimited', 'bank:M@seed' (M tasks, drawn with the
            seed), 'at-most:M' (M tasks or fewer) or 'unknown'.
        is_traceable: whether the subject is pure JAX code, which is compiled; otherwise it runs in a Python loop.
        identity_fields: the fields that only identify the subject; `initialize_carry`, `respond` and `read_taps` must
            not read them.
        recorded_taps: the taps that every rollout records.
        has_separate_rows: whether each lifetime's response depends, by construction, only on the lifetime's own row of
            the carry.
        is_asked_in_turn: whether the subject is faster if the questions of one lifetime follow each other, because it
            caches their common beginning. Conditions that could share a lifetime then run one after the other.
    """

    name: eqx.AbstractVar[str]
    trained_on: eqx.AbstractVar[str]
    is_traceable: ClassVar[bool] = True
    identity_fields: ClassVar[tuple[str, ...]] = ("name",)
    recorded_taps: ClassVar[tuple[str, ...]] = ()
    has_separate_rows: ClassVar[bool] = False
    is_asked_in_turn: ClassVar[bool] = False

    @abc.abstractmethod
    def initialize_carry(self, n: int) -> Any:
        """Makes the carry at the start of n lifetimes: a pytree whose leaves have leading axis n."""

    @abc.abstractmethod
    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Observes a percept and acts; returns the next carry and the response."""

    def update_carry(self, key: jax.Array, carry: Any, percept: Percept) -> Any:
        """Returns the carry after a percept, without a response; override this method if responding is expensive."""
        return self.respond(key, carry, percept)[0]

    def describe_cost(self, responses: int) -> str:
        """Describes the cost of this many responses; returns '' if they are free.

        Raises:
            MesascopeError: the cost exceeds the budget that the user set.
        """
        return ""

    def measure_drift(self) -> tuple[float, str]:
        """Asks the first questions again, to find out whether the subject has changed during the run.

        Only subjects with hidden weights need this method, because the weights of other subjects are hashed.

        Returns:
            How much the answers changed, and the evidence in words that the subject has changed ('' if there is none).
        """
        return 0.0, ""

    def annotate(self, trials: "xr.Dataset") -> "xr.Dataset":
        """Adds the subject's own variables to its finished trials, such as its questions in words."""
        return trials

    def read_taps(self, carry: Any) -> dict[str, jax.Array]:
        """Returns named activations [N, U], for metrics that decode them; by default there are none."""
        return {}

    def make_untrained_twin(self, seed: int) -> "Subject | None":
        """Makes the same subject with untrained weights, as a control for decoding; None if it has no weights."""
        return None

    def compute_code_hash(self) -> str:
        """Computes a hash of everything that determines the subject's actions: weights, settings and code."""
        return hash_code(self)

    def hash_weights(self) -> dict[str, str]:
        """Computes the hash of every weight array, by the array's path; returns {} if the weights are hidden."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(self, eqx.is_array))
        return {jax.tree_util.keystr(path): hash_array(leaf) for path, leaf in leaves}


class NamedSubject(Subject):
    """A subject that receives its name and its training tasks as arguments."""

    name: str
    trained_on: str  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]

    identity_fields: ClassVar[tuple[str, ...]] = ("name", "trained_on")


class ScriptedSubject(Subject):
    """A subject that was written by hand instead of trained; by default its `trained_on` is 'unlimited'.

    The subject's factory names it after its settings (see `keep_settings`). The carry is empty by default.
    """

    name: str = eqx.field(default_factory=str, kw_only=True)
    trained_on: str = eqx.field(default="unlimited", kw_only=True)  # pyright: ignore

    identity_fields: ClassVar[tuple[str, ...]] = ("name", "trained_on")

    def initialize_carry(self, n: int) -> Any:
        """Returns an empty carry."""
        return ()

    def with_settings(self, name: str, settings: Mapping[str, Any]) -> Self:
        """Returns the same subject, named after its settings if it has no name yet."""
        return self if self.name else eqx.tree_at(lambda s: s.name, self, name)


class ChoosingSubject(ScriptedSubject):
    """A scripted subject that chooses among K actions."""

    choices: int


def convert_to_arrays(**numbers: float) -> dict[str, Any]:
    """Converts numbers to arrays, so that subjects that differ only in these numbers share compiled code."""
    return {k: jnp.asarray(v, jnp.float32) for k, v in numbers.items()}


def identify(subject: Subject) -> str:
    """Makes a text that identifies a subject: its class, and a hash of its weights, settings and code."""
    return f"{type(subject).__module__}.{type(subject).__qualname__} {subject.compute_code_hash()}"


def copy_carry(carry: Any) -> Any:
    """Makes a deep copy of a carry; if lifetimes share an object, each lifetime gets its own copy."""

    def copy_leaf(leaf: Any) -> np.ndarray:
        result = np.array(leaf)
        if result.dtype == object:
            result[...] = np.frompyfunc(copy.deepcopy, 1, 1)(result)
        return result

    return jax.tree.map(copy_leaf, carry)


def choose(key: jax.Array, log_probs: jax.Array) -> Response:
    """Draws one action per lifetime from log-probabilities [N, K], by inverting the distribution function.

    Each lifetime uses one uniform number, so with the same key similar distributions mostly give the same action.
    """
    total = jnp.cumsum(jnp.exp(log_probs), axis=-1)
    draw = jax.random.uniform(key, log_probs.shape[:1])[:, None] * total[:, -1:]
    action = jnp.minimum((draw >= total).sum(-1), log_probs.shape[-1] - 1)
    return Response(action.astype(jnp.int32), log_probs)
