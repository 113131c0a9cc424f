"""Forces a procedure along recorded trials."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.contracts.condition import select
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.subject import Response, Subject
from mesascope.errors import MesascopeError
from mesascope.keys import address
from mesascope.rollouts import compiling
from mesascope.rollouts.lives import BLOCK
from mesascope.rollouts.rollouts import strip_names


class Replay(NamedTuple):
    """action [N, T] that the procedure would have drawn; log_probs [N, T, K], or None; taps [N, T, U] by name.

    Where trials have several steps [N, T, S], [N, T, S, K] and [N, T, S, U]; what stands at steps that were not lived
    means nothing.
    """

    action: np.ndarray
    log_probs: np.ndarray | None
    taps: Mapping[str, np.ndarray] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Replays:
    """Replays for the metrics of one examination: of any procedure, by name, and of the subject itself.

    Attributes:
        itself: who is examined; None where only its trials are known.
    """

    itself: Subject | None = None

    def __call__(self, procedure: Subject | str, trials: xr.Dataset, **options: Any) -> Replay:
        """`replay` of a subject, a subject's name with settings, 'itself' or 'untrained' (its twin, never trained).

        Raises:
            MesascopeError: the subject is not at hand, or it offers no untrained twin.
        """
        return replay(self.find(procedure, trials), trials, **options)

    def find(self, procedure: Subject | str, trials: xr.Dataset) -> Subject:
        """The subject that a name stands for."""
        if isinstance(procedure, Subject):
            return procedure
        if procedure not in ("itself", "untrained"):
            return catalogue.make("subjects", procedure, self.home(trials))
        if self.itself is None:
            raise MesascopeError(
                "The subject itself is not at hand, only its trials.", "Examine it to ask this."
            )
        if procedure == "itself":
            return self.itself
        twin = self.itself.untrained(int(trials.attrs.get("seed") or 0))
        if twin is None:
            raise MesascopeError(
                f"{self.itself.name} has no untrained twin.", "Give the subject a method untrained(seed)."
            )
        return twin

    def taps(self, procedure: Subject | str, trials: xr.Dataset) -> tuple[str, ...]:
        """The names of a subject's taps.

        Raises:
            MesascopeError: it has none.
        """
        subject = self.find(procedure, trials)
        shown = subject.taps(subject.fresh(2))
        names = tuple(k for k, v in shown.items() if np.size(v) and k not in subject.recorded)
        if not names:
            raise MesascopeError(
                f"{subject.name} shows no activations.", "Give the subject a method taps(carry)."
            )
        return names

    def home(self, trials: xr.Dataset) -> Family:
        """The family that trials are of, with the bank that the subject was trained on."""
        family = catalogue.make("families", str(trials.attrs["family"]))
        bank = str(trials.attrs.get("trained_on", ""))
        return family.with_bank(bank) if bank.startswith("bank:") else family


def replay(
    procedure: Subject,
    trials: xr.Dataset,
    label: str = "intact",
    seed: int | None = None,
    record: Sequence[str] = (),
    *,
    push: Mapping[str, np.ndarray] | None = None,
) -> Replay:
    """What a procedure would do at every trial of recorded lifetimes, given the recorded past.

    Args:
        procedure: a subject for as many choices as were recorded.
        trials: one split, or a log; missing trials are taken as they stand.
        label: the condition whose trials are followed.
        seed: of the procedure's draws; by default that of the trials.
        record: names of the procedure's taps to keep, as they are when it acts.
        push: by tap, what is added to it before every response [N, T, U]: each response is given from the true carry
            so moved, and the life goes on unmoved. [N, T, S, U] where trials have several steps.

    Raises:
        MesascopeError: the trials have steps, and these were not kept, or `label` is not 'intact'.
    """
    lived = trials.sel(condition=label)
    stepwise = int(trials.attrs.get("steps", 1)) > 1
    if stepwise and ("step_feedback" not in lived or label != "intact"):
        raise MesascopeError(
            f"The single steps of {label!r} were not kept, so its lifetimes cannot be replayed.",
            "Replay intact trials, in a family whose trials are shorter or that shows less.",
        )
    key = jax.random.key(int(trials.attrs.get("seed") or 0) if seed is None else seed)
    (n, *shape), out = lived.action.shape, []  # shape: T, or T, S

    def along(x: np.ndarray) -> np.ndarray:
        """Activations [N, T, U] or [N, T, S, U] with axes T·S, N, U."""
        flat = x.reshape(len(x), -1, *x.shape[1 + len(shape) :])
        return np.moveaxis(flat, 0, 1).astype(np.float32)

    for block in range(-(-n // BLOCK)):
        rows = np.minimum(np.arange(block * BLOCK, (block + 1) * BLOCK), n - 1)
        part = lived.isel(lifetime=rows)
        past, idle = percepts_by_step(part) if stepwise else (percepts_by_trial(part), None)
        pushed = {k: along(v[rows]) for k, v in (push or {}).items()}
        out.append(_forced(procedure, past, address(key, "lives", block), pushed, tuple(record), idle=idle))
    told = jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *out)
    response, taps = jax.tree.map(lambda x: x.reshape(n, *shape, *x.shape[2:]), told)
    return Replay(response.action, response.log_probs, taps)


def percepts_by_trial(lived: xr.Dataset) -> Percept:
    """What was seen before each trial of one condition's trials without steps, fields with axes T, N."""
    action, feedback = acts(lived), np.nan_to_num(lived.feedback.values)
    shown = lived.observation.values if "observation" in lived else np.zeros((*action.shape, 0), np.float32)
    return percepts(action, feedback, shown)


def percepts_by_step(lived: xr.Dataset) -> tuple[Percept, np.ndarray]:
    """What was seen before each step, fields with axes T·S, N, and who was idle, of one condition's trials."""
    n, trials, steps = lived.action.shape
    there = (np.arange(steps) < lived.n_steps.values[..., None]).reshape(n, -1)
    ticks = np.arange(trials * steps)
    last = np.maximum.accumulate(np.where(there, ticks, -1), 1)  # the last step lived until then
    last = np.concatenate([np.full((n, 1), -1), last[:, :-1]], 1)
    action, real = lived.action.values.reshape(n, -1), lived.attrs.get("actions") == "real"
    before = np.where(last < 0, 0 if real else -1, np.take_along_axis(action, np.maximum(last, 0), 1))
    paid = np.take_along_axis(lived.step_feedback.values.reshape(n, -1), np.maximum(last, 0), 1)
    shown = lived.observation.values if "observation" in lived else np.zeros((n, trials, steps, 0))
    trial, step = (np.repeat(x[:, None], n, 1).astype(np.int32) for x in np.divmod(ticks, steps))
    seen = Percept(
        np.moveaxis(shown.reshape(n, trials * steps, *shown.shape[3:]), 0, 1).astype(np.float32),
        before.T.astype(np.float32 if real else np.int32),
        np.where(last < 0, 0, paid).T.astype(np.float32),
        trial,
        step,
        np.repeat(ticks[:, None] == 0, n, 1),
    )
    return seen, ~there.T


def acts(lived: xr.Dataset) -> np.ndarray:
    """[N, T] the actions as a subject sees them."""
    if lived.attrs.get("actions") == "real":
        return np.nan_to_num(lived.action.values.astype(np.float32))
    return lived.action.values.astype(np.int32)


def percepts(action: np.ndarray, feedback: np.ndarray, observation: np.ndarray) -> Percept:
    """What was seen before each trial: fields with axes T, N from records [N, T]."""
    n, trials = action.shape
    none = np.zeros((n, 1), np.float32) if action.dtype.kind == "f" else np.full((n, 1), -1, np.int32)
    before = np.concatenate([none, action[:, :-1]], 1).T
    paid = np.concatenate([np.zeros((n, 1), np.float32), feedback[:, :-1]], 1).T
    index = np.repeat(np.arange(trials, dtype=np.int32)[:, None], n, 1)
    shown = np.moveaxis(observation, 0, 1).astype(np.float32)
    return Percept(shown, before, paid.astype(np.float32), index, np.zeros_like(index), index == 0)


def force(procedure: Subject, past: Percept, key: jax.Array) -> Response:
    """The responses of one block, with leading axes N, T, to percepts with axes T, N."""
    return _forced(procedure, past, key, {}, ())[0]


def _forced(
    procedure: Subject,
    past: Percept,
    key: jax.Array,
    pushed: dict[str, np.ndarray],
    record: tuple[str, ...],
    *,
    idle: np.ndarray | None = None,
) -> tuple[Response, dict[str, np.ndarray]]:
    """The same with every response from a carry whose taps were moved [T, N, U], and with the taps recorded.

    Where a lifetime is idle [T, N] its carry stays as it is.
    """
    if procedure.traceable:
        out = jax.device_get(_scanned(strip_names(procedure), past, key, pushed, record, idle=idle))
    else:
        carry, steps = procedure.fresh(past.action.shape[1]), []
        for t in range(len(past.action)):
            now = Percept(*(field[t] for field in past))
            pushes = {k: v[t] for k, v in pushed.items()}
            after, step = _trial(procedure, act(key, t), carry, now, pushes, record=record)
            carry = after if idle is None or not idle[t].any() else select(idle[t], carry, after)
            steps.append(jax.tree.map(np.asarray, step))
        out = jax.tree.map(lambda *xs: np.stack(xs), *steps)
    return jax.tree.map(lambda x: np.moveaxis(x, 0, 1), out)


@jax.jit
def act(key: jax.Array, t: Any) -> jax.Array:
    """The key of the response at a tick."""
    return address(key, "act", t)


def _trial(procedure: Subject, key: jax.Array, carry: Any, now: Percept, push: Any, *, record: Any):
    """One trial of a forced life: the next carry, and the response and taps."""
    after, response = procedure.respond(key, carry, now)
    taps = {k: v for k, v in procedure.taps(after).items() if k in record}
    if push:
        moved = write_taps(procedure, carry, {k: procedure.taps(carry)[k] + v for k, v in push.items()})
        response = procedure.respond(key, moved, now)[1]
    return after, (response, taps)


def write_taps(procedure: Subject, carry: Any, taps: Mapping[str, Any]) -> Any:
    """A carry with other activations in place of some of its taps, which must be leaves of the carry.

    Raises:
        MesascopeError: a tap is computed from the carry, so nothing can be written there.
    """
    names = list(taps)
    try:
        return eqx.tree_at(lambda c: [procedure.taps(c)[k] for k in names], carry, [taps[k] for k in names])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MesascopeError(
            f"The taps {', '.join(names)} of {procedure.name} cannot be written to.",
            "Let taps() return leaves of the carry as they are.",
        ) from None


@compiling.compile_loop
def _scanned(
    procedure: Subject, past: Percept, key: jax.Array, pushed: Any, record: tuple[str, ...], *, idle: Any
) -> Any:
    def trial(carry, xs):
        t, now, push, still = xs
        after, out = _trial(procedure, address(key, "act", t), carry, now, push, record=record)
        return after if still is None else select(still, carry, after), out

    start = procedure.fresh(past.action.shape[1])
    return jax.lax.scan(trial, start, (jnp.arange(len(past.action)), past, pushed, idle))[1]
