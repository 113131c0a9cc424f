"""Shows recorded trials to a procedure, and records how the procedure would have responded.

In shapes, N is the number of lifetimes, T of trials in a lifetime, S of steps in a trial, K of actions, and U of units
of a tap.
"""

import dataclasses
import operator
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.contracts import Family, Percept, Response, Subject, select
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key
from mesascope.rollouts import compiling
from mesascope.rollouts.blocks import BLOCK_SIZE
from mesascope.rollouts.rollouts import strip_identity


class Replay(NamedTuple):
    """How a procedure would have responded to recorded trials.

    Attributes:
        action: [N, T] the actions that the procedure would have drawn.
        log_probs: [N, T, K] the log-probabilities of all actions; None if the procedure does not report them.
        taps: [N, T, U] the activations of each recorded tap, by the tap's name.

    If trials have several steps, the shapes are [N, T, S], [N, T, S, K] and [N, T, S, U]. The values at steps that did
    not run have no meaning.
    """

    action: np.ndarray
    log_probs: np.ndarray | None
    taps: Mapping[str, np.ndarray] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Replays:
    """Replays any named procedure, or the examined subject, along recorded trials, for the metrics of one examination.

    Attributes:
        subject: the examined subject; None if only its trials are available.
    """

    subject: Subject | None = None

    def __call__(self, procedure: Subject | str, trials: xr.Dataset, **options: Any) -> Replay:
        """Replays a procedure along recorded trials.

        Args:
            procedure: a subject or its name with settings; or 'itself' for the examined subject, or 'untrained' for its
                untrained twin.
            trials: the trials of one split, or of a log.
            options: further arguments of `replay`.

        Raises:
            MesascopeError: no subject has this name, the examined subject is not available, it has no untrained twin,
                or the trials cannot be replayed.
        """
        return replay(self.find_subject(procedure, trials), trials, **options)

    def find_subject(self, procedure: Subject | str, trials: xr.Dataset) -> Subject:
        """Finds the subject that a name denotes; the arguments are those of `__call__`.

        Raises:
            MesascopeError: no subject has this name, the examined subject is not available, or it has no untrained
                twin.
        """
        if isinstance(procedure, Subject):
            return procedure
        if procedure not in ("itself", "untrained"):
            return catalogue.make("subjects", procedure, self.make_family(trials))
        if self.subject is None:
            problem = "Only the trials are available, not the subject itself."
            raise MesascopeError(problem, "Examine the subject to compute this metric.")
        if procedure == "itself":
            return self.subject
        twin = self.subject.make_untrained_twin(int(trials.attrs.get("seed") or 0))
        if twin is None:
            problem = f"{self.subject.name} has no untrained twin."
            raise MesascopeError(problem, "Give the subject a method make_untrained_twin(seed).")
        return twin

    def list_taps(self, procedure: Subject | str, trials: xr.Dataset) -> tuple[str, ...]:
        """Lists the names of a subject's taps, except empty taps and those that every rollout records.

        Raises:
            MesascopeError: the subject has no such taps, or it is not available (see `find_subject`).
        """
        subject = self.find_subject(procedure, trials)
        values = subject.read_taps(subject.initialize_carry(2))
        names = tuple(k for k, v in values.items() if np.size(v) and k not in subject.recorded_taps)
        if not names:
            raise MesascopeError(f"{subject.name} has no taps.", "Give the subject a method read_taps(carry).")
        return names

    def make_family(self, trials: xr.Dataset) -> Family:
        """Makes the family of the trials; if the trials name the subject's training bank, with this bank."""
        family = catalogue.make("families", str(trials.attrs["family"]))
        bank = str(trials.attrs.get("trained_on", ""))
        return family.with_bank(bank) if bank.startswith("bank:") else family


def replay(
    procedure: Subject,
    trials: xr.Dataset,
    label: str = "intact",
    seed: int | None = None,
    recorded_taps: Sequence[str] = (),
    *,
    added_activations: Mapping[str, np.ndarray] | None = None,
) -> Replay:
    """Computes what a procedure would do on every trial of recorded lifetimes, given the recorded past.

    Args:
        procedure: a subject with as many choices as the trials have.
        trials: the trials of one split, or of a log; a missing trial is shown with action -1 (0 if actions are real)
            and feedback 0.
        label: the label of the condition whose trials are replayed.
        seed: the seed of the procedure's draws; by default the seed of the trials.
        recorded_taps: the names of the procedure's taps to record after each response.
        added_activations: for each tap, the vectors [N, T, U] to add to it before each response ([N, T, S, U] if trials
            have several steps). Only the response is computed from the changed carry; the replay continues with the
            unchanged carry.

    Raises:
        MesascopeError: the trials have several steps, and the single steps of this condition were not stored; or
            `added_activations` names a tap that cannot be changed.
    """
    selected = trials.sel(condition=label)
    has_steps = int(trials.attrs.get("steps", 1)) > 1
    if has_steps and ("step_feedback" not in selected or label != "intact"):
        problem = f"The single steps of {label!r} were not stored, so its lifetimes cannot be replayed."
        raise MesascopeError(problem, "Replay intact trials of a family with shorter trials or smaller observations.")
    key = jax.random.key(int(trials.attrs.get("seed") or 0) if seed is None else seed)
    (n, *shape), parts = selected.action.shape, []  # shape is (T,) or (T, S)

    def flatten(x: np.ndarray) -> np.ndarray:
        """Reshapes activations [N, T, U] or [N, T, S, U] to [T·S, N, U]."""
        flat = x.reshape(len(x), -1, *x.shape[1 + len(shape) :])
        return np.moveaxis(flat, 0, 1).astype(np.float32)

    for block in range(-(-n // BLOCK_SIZE)):
        rows = np.minimum(np.arange(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE), n - 1)
        part = selected.isel(lifetime=rows)
        past, idle = read_percepts_by_step(part) if has_steps else (read_percepts_by_trial(part), None)
        block_pushes = {name: flatten(activations[rows]) for name, activations in (added_activations or {}).items()}
        block_key = derive_key(key, "lives", block)
        parts.append(_replay_block(procedure, past, block_key, block_pushes, tuple(recorded_taps), is_idle=idle))
    joined = jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *parts)
    response, taps = jax.tree.map(lambda x: x.reshape(n, *shape, *x.shape[2:]), joined)
    return Replay(response.action, response.log_probs, taps)


def read_percepts_by_trial(trials: xr.Dataset) -> Percept:
    """Reads the percept before each trial under one condition, in fields with axes T, N.

    The trials must have one step and no axis of conditions.
    """
    action, feedback = read_actions(trials), np.nan_to_num(trials.feedback.values)
    observation = trials.observation.values if "observation" in trials else np.zeros((*action.shape, 0), np.float32)
    return make_percepts(action, feedback, observation)


def read_percepts_by_step(trials: xr.Dataset) -> tuple[Percept, np.ndarray]:
    """Reads the percept before each step under one condition, in fields with axes T·S, N, from trials of several steps.

    Returns:
        The percepts, and whether each lifetime is idle at each step [T·S, N].
    """
    n, length, steps = trials.action.shape
    awake = (np.arange(steps) < trials.n_steps.values[..., None]).reshape(n, -1)
    step_numbers = np.arange(length * steps)
    last = np.maximum.accumulate(np.where(awake, step_numbers, -1), 1)  # the last step that ran, at or before each step
    last = np.concatenate([np.full((n, 1), -1), last[:, :-1]], 1)
    action, real = trials.action.values.reshape(n, -1), trials.attrs.get("actions") == "real"
    last_action = np.where(last < 0, 0 if real else -1, np.take_along_axis(action, np.maximum(last, 0), 1))
    feedback = np.take_along_axis(trials.step_feedback.values.reshape(n, -1), np.maximum(last, 0), 1)
    observation = trials.observation.values if "observation" in trials else np.zeros((n, length, steps, 0))
    trial, step = (np.repeat(x[:, None], n, 1).astype(np.int32) for x in np.divmod(step_numbers, steps))
    observation = np.moveaxis(observation.reshape(n, length * steps, *observation.shape[3:]), 0, 1).astype(np.float32)
    last_action = last_action.T.astype(np.float32 if real else np.int32)
    last_feedback = np.where(last < 0, 0, feedback).T.astype(np.float32)
    first = np.repeat(step_numbers[:, None] == 0, n, 1)
    return Percept(observation, last_action, last_feedback, trial, step, first), ~awake.T


def read_actions(trials: xr.Dataset) -> np.ndarray:
    """Reads the actions [N, T] in the form in which a subject observes them."""
    if trials.attrs.get("actions") == "real":
        return np.nan_to_num(trials.action.values.astype(np.float32))
    return trials.action.values.astype(np.int32)


def make_percepts(action: np.ndarray, feedback: np.ndarray, observation: np.ndarray) -> Percept:
    """Makes the percept before each trial, in fields with axes T, N, from recorded arrays with axes N, T.

    The action and feedback in the percept before a trial are those of the trial before.
    """
    n, length = action.shape
    no_action = np.zeros((n, 1), np.float32) if action.dtype.kind == "f" else np.full((n, 1), -1, np.int32)
    last_action = np.concatenate([no_action, action[:, :-1]], 1).T
    last_feedback = np.concatenate([np.zeros((n, 1), np.float32), feedback[:, :-1]], 1).T
    index = np.repeat(np.arange(length, dtype=np.int32)[:, None], n, 1)
    observations = np.moveaxis(observation, 0, 1).astype(np.float32)
    return Percept(observations, last_action, last_feedback.astype(np.float32), index, np.zeros_like(index), index == 0)


def replay_block(procedure: Subject, percepts: Percept, key: jax.Array) -> Response:
    """Computes a procedure's responses, with axes N, T, to the percepts of one block, with axes T, N."""
    return _replay_block(procedure, percepts, key, {}, ())[0]


def _replay_block(
    procedure, percepts, key, added_activations, recorded_taps, *, is_idle=None
) -> tuple[Response, dict[str, np.ndarray]]:
    """Computes a procedure's responses to the percepts of one block, and the recorded taps.

    Args:
        procedure: the subject that responds.
        percepts: the percepts, in fields with axes T, N.
        key: the random key of the block.
        added_activations: for each tap, the vectors [T, N, U] to add to it before each response.
        recorded_taps: the names of the taps to record.
        is_idle: [T, N] whether each lifetime is idle, so that its carry does not change; None if lifetimes are never
            idle.
    """
    if procedure.is_traceable:
        result = jax.device_get(
            _respond_in_scan(
                strip_identity(procedure), percepts, key, added_activations, recorded_taps, is_idle=is_idle
            )
        )
    else:
        carry, steps = procedure.initialize_carry(percepts.action.shape[1]), []
        for t in range(len(percepts.action)):
            percept, push = jax.tree.map(operator.itemgetter(t), (percepts, added_activations))
            after, step = _replay_step(
                procedure, make_response_key(key, t), carry, percept, push, recorded_taps=recorded_taps
            )
            carry = after if is_idle is None or not is_idle[t].any() else select(is_idle[t], carry, after)
            steps.append(jax.tree.map(np.asarray, step))
        result = jax.tree.map(lambda *xs: np.stack(xs), *steps)
    return jax.tree.map(lambda x: np.moveaxis(x, 0, 1), result)


@jax.jit
def make_response_key(key: jax.Array, t: Any) -> jax.Array:
    """Makes the random key of the response at step t, counted from the start of the lifetime, from a block's key."""
    return derive_key(key, "act", t)


def _replay_step(
    procedure: Subject, key: jax.Array, carry: Any, percept: Percept, added_activations: Any, *, recorded_taps: Any
):
    """Replays one step, and returns the next carry and a tuple of the response and the recorded taps."""
    after, response = procedure.respond(key, carry, percept)
    taps = {k: v for k, v in procedure.read_taps(after).items() if k in recorded_taps}
    if added_activations:
        changed_carry = write_taps(
            procedure, carry, {k: procedure.read_taps(carry)[k] + v for k, v in added_activations.items()}
        )
        response = procedure.respond(key, changed_carry, percept)[1]
    return after, (response, taps)


def write_taps(procedure: Subject, carry: Any, taps: Mapping[str, Any]) -> Any:
    """Makes a copy of a carry in which some taps have new activations.

    Args:
        procedure: the subject that the carry belongs to.
        carry: the carry, of which these taps must be leaves.
        taps: the new activations by the tap's name.

    Raises:
        MesascopeError: a tap does not exist, or is computed from the carry, so that it cannot be replaced.
    """
    names = list(taps)
    try:
        return eqx.tree_at(lambda c: [procedure.read_taps(c)[k] for k in names], carry, [taps[k] for k in names])
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = f"The taps {', '.join(names)} of {procedure.name} cannot be changed."
        raise MesascopeError(
            problem, "Let the method read_taps return leaves of the carry without changing them."
        ) from None


@compiling.compile_loop
def _respond_in_scan(procedure, percepts, key, added_activations, recorded_taps, *, is_idle) -> Any:
    def step(carry, xs):
        t, percept, push, asleep = xs
        after, out = _replay_step(
            procedure, derive_key(key, "act", t), carry, percept, push, recorded_taps=recorded_taps
        )
        return after if asleep is None else select(asleep, carry, after), out

    start = procedure.initialize_carry(percepts.action.shape[1])
    return jax.lax.scan(step, start, (jnp.arange(len(percepts.action)), percepts, added_activations, is_idle))[1]
