"""A plain Python function as a subject: f(percept, state, rng) → (action or probabilities, state).

`percept` is a dict of NumPy arrays with leading axis N, the number of lifetimes. `state` is None at the start of a
lifetime, and afterwards the state that the function returned last. The returned state may be None, or a pytree of
arrays with leading axis N (object arrays are allowed). `rng` is a NumPy generator. The function receives copies of the
arrays, so it may write into them.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from mesascope.agents.classes import is_agent, make_function, name_agent
from mesascope.contracts import Family, NamedSubject, Percept, Response, Subject, copy_carry
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.guards.identity import hash_array, list_reachable_parts
from mesascope.precision import use_precision_of_user

FACTORY_RUNS_CODE = True  # a user who types a path wants its code to run


class FunctionSubject(NamedSubject):
    """A subject that calls the user's function once per step, for all lifetimes of a block.

    Attributes:
        function: the user's function f(percept, state, rng).
        choices: the number of choices, or None if actions are real numbers.
    """

    function: Callable[..., Any] = eqx.field(static=True)
    choices: int | None

    is_traceable: ClassVar = False

    def initialize_carry(self, n: int) -> Any:
        """Returns None, which the function receives as its first state."""
        return None

    def respond(self, key, carry, percept: Percept):
        """Calls the function with copies of the percept and the state, and checks its result."""
        n = len(percept.action)
        percept_copy = {k: np.array(v) for k, v in percept._asdict().items()}
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32).tolist())
        state = _copy_state(self.name, carry)
        try:
            with use_precision_of_user():
                answer = self.function(percept_copy, state, rng)
        except MesascopeError:
            raise
        except Exception as error:
            trial, state_description = int(percept_copy["trial"][0]), "no state" if carry is None else "its last state"
            remedy = f"It was called as f(percept, state, rng), with {n} lifetimes at trial {trial} and "
            remedy += f"{state_description}; "
            remedy += f"percept contains {', '.join(percept_copy)}."
            raise MesascopeError(f"{self.name} raised {type(error).__name__}: {error}.", remedy) from error
        if not isinstance(answer, tuple) or len(answer) != 2:
            problem = f"{self.name} returned {type(answer).__name__}, not a pair."
            raise MesascopeError(problem, "Return (action or probabilities, state).")
        response = _parse_response(self.name, answer[0], n, self.choices, rng)
        return _check_state(self.name, answer[1], n), response

    def hash_weights(self) -> dict[str, str]:
        """Hashes all arrays that the function reaches through its closure, defaults, globals, object or class."""
        parts = list_reachable_parts(self.function)
        return {path or "itself": hash_array(x) for path, x in parts if isinstance(x, np.ndarray)}


def _parse_response(name: str, answer: Any, n: int, choices: int | None, rng: np.random.Generator) -> Response:
    """Checks the actions or probabilities that a function returned, and converts them to a response."""

    def make_error(found_text: str, remedy: str = "Return whole numbers.") -> MesascopeError:
        return MesascopeError(f"{name} returned {found_text}.", remedy)

    try:
        array = np.asarray(answer)
    except (TypeError, ValueError) as error:
        raise make_error(f"something that is not an array: {error}", f"Return actions [{n}].") from None
    if choices is not None and array.shape == (n, choices) and array.dtype.kind in "fiu":
        return _draw_actions(name, array.astype(float), rng)
    if array.shape != (n,):
        probabilities_hint = "" if choices is None else f" or probabilities of shape ({n}, {choices})"
        raise make_error(f"an array of shape {array.shape}", f"Return actions of shape ({n},){probabilities_hint}.")
    if choices is None:
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise make_error("an action that is not a number", "Return finite numbers.")
        return Response(array.astype(np.float32), None)
    if array.dtype.kind not in "fiub":
        raise make_error(f"actions of type {array.dtype}")
    if not np.isfinite(array).all():
        raise make_error("an action that is not a number")
    if (is_fraction := array != np.round(array)).any():
        raise make_error(f"the action {array[is_fraction][0]}")
    if (is_out_of_range := (array < 0) | (array >= choices)).any():
        raise make_error(f"the action {int(array[is_out_of_range][0])}", f"Actions run from 0 to {choices - 1}.")
    return Response(array.astype(np.int32), None)


def _draw_actions(name: str, probs: np.ndarray, rng: np.random.Generator) -> Response:
    """Draws actions from the probabilities [N, K] of K choices in N lifetimes."""
    is_invalid = ~np.isfinite(probs).all(1) | (probs < 0).any(1) | (np.abs(probs.sum(1) - 1) > 1e-3)
    if is_invalid.any():
        row = int(np.argmax(is_invalid))
        problem = f"{name} returned probabilities {probs[row].tolist()} for lifetime {row}."
        raise MesascopeError(problem, "Return probabilities that are finite, not negative, and sum to 1.")
    probs = probs / probs.sum(1, keepdims=True)
    action = np.minimum((rng.random(len(probs))[:, None] >= np.cumsum(probs, 1)).sum(1), probs.shape[1] - 1)
    with np.errstate(divide="ignore"):
        return Response(action.astype(np.int32), np.log(probs).astype(np.float32))


def _check_state(name: str, state: Any, n: int) -> Any:
    """Copies a state into NumPy arrays; raises `MesascopeError` if a part lacks one row per lifetime."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        if not isinstance(leaf, np.ndarray | jax.Array) or leaf.ndim < 1 or len(leaf) != n:
            found_type = f"an array of shape {leaf.shape}" if hasattr(leaf, "shape") else type(leaf).__name__
            problem = f"{name} returned a state whose part {jax.tree_util.keystr(path) or 'itself'} is {found_type}."
            remedy = f"Give every part the leading axis {n}, one row per lifetime; use object arrays for anything else."
            raise MesascopeError(problem, remedy)
    return jax.tree.map(np.array, state)


def _copy_state(name: str, state: Any) -> Any:
    try:
        return copy_carry(state)
    except Exception as error:  # copying an object may raise anything
        raise MesascopeError(
            f"An object in the state of {name} cannot be copied: {type(error).__name__}: {error}.",
            "Put only data that change into the state; keep locks, files, generators and networks in the function.",
        ) from error


def wrap(function: Any, family: Family, name: str = "", trained_on: str = "unknown") -> FunctionSubject:
    """Makes a subject of a family from a function f(percept, state, rng), or from a class of agents (`from_class`)."""
    if is_agent(function):
        name, function = name or name_agent(function), make_function(function, family)
    name = name or getattr(function, "__name__", type(function).__name__)
    return FunctionSubject(name=name, trained_on=trained_on, function=function, choices=family.choices)


def subject(family: Family, path: str, trained_on: str = "unknown") -> Subject:
    """Your own Python function or agent, made by the factory that `path` names, or a class with act() and update().

    Args:
        family: the family that is passed to the factory.
        path: the factory or the class, as package.module:factory.
        trained_on: the tasks that it was trained on: unlimited (ever new tasks of the family), bank:M@seed (M tasks
            drawn by seed) or unknown.
    """
    remedy = "Type package.module:factory, with the module on PYTHONPATH or in this folder."
    function = gate.find_function(path, "The function", remedy)
    result = function if is_agent(function) else gate.call_factory(path, function, family)
    if isinstance(result, Subject):
        return result
    if not callable(result) and not is_agent(result):
        problem = f"{path} returned {type(result).__name__}."
        raise MesascopeError(problem, "Return f(percept, state, rng), an agent with act(observation), or a Subject.")
    return wrap(result, family, path, trained_on)
