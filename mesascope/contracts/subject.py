"""Who is tested: adapters, scripted subjects whose answer is known, reference procedures."""

import abc
import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.percept import Array, Percept
from mesascope.guards.identity import digest, hash_code

if TYPE_CHECKING:
    import xarray as xr


class Response(NamedTuple):
    """action [N]; log_probs [N, K] of all actions, or None where the subject gives none."""

    action: Array
    log_probs: Array


class Subject(eqx.Module):
    """A frozen agent or model; subclasses are final.

    Attributes:
        name: the subject with its settings, as one would type it.
        trained_on: 'unlimited', 'bank:M@seed' or 'unknown'.
        traceable: pure JAX (scanned and compiled) or anything else (looped in Python).
        identity: fields that only say who it is; `fresh`, `respond` and `taps` must not read them.
        recorded: taps that every rollout keeps.
        separate: whether each lifetime is answered by itself, from its own row of the carry alone, by construction.
        in_turn: whether it is faster where one life's questions follow each other, because it holds what they begin
            with; conditions that could share a life then live one after the other.
    """

    name: eqx.AbstractVar[str]
    if TYPE_CHECKING:  # a field here, a property there

        @property
        def trained_on(self) -> str: ...  # noqa: D102
    else:
        trained_on: eqx.AbstractVar[str]
    traceable: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("name",)
    recorded: ClassVar[tuple[str, ...]] = ()
    separate: ClassVar[bool] = False
    in_turn: ClassVar[bool] = False

    @abc.abstractmethod
    def fresh(self, n: int) -> Any:
        """The carry at birth: a pytree whose leaves have leading axis n."""

    @abc.abstractmethod
    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Takes in a percept and acts: the next carry and the response."""

    def absorb(self, key: jax.Array, carry: Any, percept: Percept) -> Any:
        """The carry after a percept where no act is wanted; to be written where acting costs more than that."""
        return self.respond(key, carry, percept)[0]

    def announce(self, responses: int) -> str:
        """What so many responses cost, in words, '' where they cost nothing; raises where that is too much."""
        return ""

    def drift(self) -> tuple[float, str]:
        """How far its answers at the start are from the same ones now, and what shows that it has changed, or ''.

        For a subject whose weights cannot be seen; any other has its fingerprint.
        """
        return 0.0, ""

    def annotate(self, trials: "xr.Dataset") -> "xr.Dataset":
        """Its finished trials with what it alone can add to them, such as what it was asked in words."""
        return trials

    def taps(self, carry: Any) -> dict[str, jax.Array]:
        """Named activations [N, U] for metrics that decode; none unless a subject says so."""
        return {}

    def untrained(self, seed: int) -> "Subject | None":
        """The same subject with weights that were never trained, a control of what is decoded; None without weights."""
        return None

    def code(self) -> str:
        """A hash of all that it acts by: weights, settings and code."""
        return hash_code(self)

    def fingerprint(self) -> dict[str, str]:
        """A hash of every weight by its path, empty where the weights cannot be seen."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(self, eqx.is_array))
        return {jax.tree_util.keystr(path): digest(leaf) for path, leaf in leaves}


class NamedSubject(Subject):
    """A subject that is handed its name and what it was trained on."""

    name: str
    trained_on: str  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]

    identity: ClassVar[tuple[str, ...]] = ("name", "trained_on")


class Scripted(Subject):
    """A subject written by hand: no training, so no bank to locate a task in, unless it says so.

    Its factory (see `keep_settings`) names it; it carries nothing where it does not define `fresh`.
    """

    name: str = eqx.field(default_factory=str, kw_only=True)
    trained_on: str = eqx.field(default="unlimited", kw_only=True)  # pyright: ignore

    identity: ClassVar[tuple[str, ...]] = ("name", "trained_on")

    def fresh(self, n: int) -> Any:
        """An empty carry."""
        return ()

    def with_settings(self, name: str, settings: Mapping[str, Any]) -> Self:
        """The same subject, with the name that its settings give it where it has none of its own."""
        return self if self.name else eqx.tree_at(lambda s: s.name, self, name)


class Choosing(Scripted):
    """A scripted subject of K choices."""

    choices: int


def as_arrays(**numbers: float) -> dict[str, Any]:
    """Numbers as data: subjects that differ in nothing else share compiled code."""
    return {k: jnp.asarray(v, jnp.float32) for k, v in numbers.items()}


def identify(subject: Subject) -> str:
    """What tells a subject from any that acts otherwise: its class, and a hash of its weights, settings and code."""
    return f"{type(subject).__module__}.{type(subject).__qualname__} {subject.code()}"


def copy_carry(carry: Any) -> Any:
    """A copy of a carry, and of every object in it: lifetimes that hold the same one get one each."""

    def copy_leaf(leaf: Any) -> np.ndarray:
        result = np.array(leaf)
        if result.dtype == object:
            result[...] = np.frompyfunc(copy.deepcopy, 1, 1)(result)
        return result

    return jax.tree.map(copy_leaf, carry)


def choose(key: jax.Array, log_probs: jax.Array) -> Response:
    """Draws one action per lifetime by inverting the distribution function.

    One uniform number per lifetime: with the same key, close distributions mostly give the same action.
    """
    total = jnp.cumsum(jnp.exp(log_probs), axis=-1)
    draw = jax.random.uniform(key, log_probs.shape[:1])[:, None] * total[:, -1:]
    action = jnp.minimum((draw >= total).sum(-1), log_probs.shape[-1] - 1)
    return Response(action.astype(jnp.int32), log_probs)
