"""A network in an .onnx file, run by onnxruntime: observation and state in, logits and state out."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import numpy as np

from mesascope.errors import MesascopeError
from mesascope.families import Family, Percept
from mesascope.subjects import Response, Subject, _onnx_file
from mesascope.subjects._extras import require
from mesascope.subjects._observing import Observer, observer
from mesascope.subjects._settings import one_of, within
from mesascope.subjects._torch import respond

GIVES = ("logits", "probabilities", "values")
STARTS = ("episode_start", "episode_starts", "first", "is_first", "done", "dones", "reset")
SIZES = (2, 3)  # of the batches by which the layout of outputs is found
TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class Port(NamedTuple):
    """An input or output.

    Attributes:
        name: as in the file.
        shape: with 0 for axes of any size.
        kind: its dtype.
        axis: of the batch.
    """

    name: str
    shape: tuple[int, ...]
    kind: Any
    axis: int

    def rows(self, value: np.ndarray) -> np.ndarray:
        """[N, U]."""
        value = np.moveaxis(value, self.axis, 0)
        return np.ascontiguousarray(value.reshape(len(value), -1))

    def filled(self, rows: np.ndarray) -> np.ndarray:
        """The input of shape `shape` from rows [N, U]."""
        rest = [size or 1 for i, size in enumerate(self.shape) if i != self.axis]
        value = np.moveaxis(np.asarray(rows).reshape(len(rows), *rest), 0, self.axis)
        return np.ascontiguousarray(value, self.kind)

    @property
    def width(self) -> int:
        """U."""
        return int(np.prod([size or 1 for i, size in enumerate(self.shape) if i != self.axis], dtype=int))

    @property
    def batch(self) -> int:
        """The one batch that it takes, 0 for any."""
        return self.shape[self.axis]


class Onnx(Subject):
    """A network with its weights frozen.

    Attributes:
        sees: the input that takes the observation.
        starts: the input that says where a lifetime begins, where there is one.
        state: inputs of the state, each with the output that gives the next one.
        graph: a hash of the model.
        weights: a hash of every weight by its name.
        gives: what its first output is, of GIVES.
        stochastic: whether actions are drawn; else the best is taken.
        epsilon: part of the choices that is even, where it gives values.
    """

    name: str
    trained_on: str  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
    session: Any = eqx.field(static=True)
    path: str = eqx.field(static=True)
    observe: Observer = eqx.field(static=True)
    sees: Port = eqx.field(static=True)
    starts: Port | None = eqx.field(static=True)
    state: tuple[tuple[Port, Port], ...] = eqx.field(static=True)
    scores: Port = eqx.field(static=True)
    graph: str = eqx.field(static=True)
    weights: dict[str, str] = eqx.field(static=True)
    gives: str
    stochastic: bool
    epsilon: float

    traceable: ClassVar = False

    def fresh(self, n: int) -> dict[str, np.ndarray]:
        """Zeros."""
        return {port.name: np.zeros((n, port.width), port.kind) for port, _ in self.state}

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """One run for all lifetimes, or as many as its batch asks for."""
        fed = {self.sees.name: self.observe(percept)}
        fed |= {port.name: np.asarray(carry[port.name]) for port, _ in self.state}
        if self.starts:
            fed[self.starts.name] = np.asarray(percept.first)[:, None]
        ports = [self.sees, *(port for port, _ in self.state), *filter(None, (self.starts,))]
        outs = [self.scores, *(port for _, port in self.state)]
        scores, *after = run(self.session, self.path, ports, outs, fed)
        state = {port.name: rows for (port, _), rows in zip(self.state, after, strict=True)}
        if self.observe.choices is None:
            return state, Response(scores[:, 0].astype(np.float32), None)
        return state, respond(key, scores, self.gives, self.stochastic, self.epsilon)

    def taps(self, carry: Any) -> dict[str, Any]:
        """Its state, under the names of the inputs that take it."""
        return dict(carry)

    def fingerprint(self) -> dict[str, str]:
        """Every weight by name, as it was in the file: what runs was read from it and cannot change."""
        return dict(self.weights)


def run(
    session: Any, path: str, ports: list[Port], outs: list[Port], fed: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """The outputs as rows [N, U], in parts of the one batch that the network takes where it takes only one.

    Raises:
        MesascopeError: the network refused its inputs.
    """
    n = len(next(iter(fed.values())))
    size = max((port.batch for port in ports), default=0) or n
    parts = []
    for start in range(0, n, size):
        rows = np.minimum(np.arange(start, start + size), n - 1)
        try:
            given = session.run([o.name for o in outs], {p.name: p.filled(fed[p.name][rows]) for p in ports})
        except Exception as error:  # onnxruntime's own
            raise MesascopeError(
                f"{path!r} refused its inputs: {str(error).strip().splitlines()[0][:300]}.",
                "Export it with a free batch axis, and see told, for what it observes.",
            ) from None
        parts.append([o.rows(np.asarray(value)) for o, value in zip(outs, given, strict=True)])
    return [np.concatenate(column)[:n] for column in zip(*parts, strict=True)]


def opens(path: str | os.PathLike) -> bool:
    """Whether a file is named .onnx: nothing at its start says so."""
    return Path(path).suffix.lower() == ".onnx"


def subject(
    family: Family,
    path: str,
    told: str = "",
    observation: str = "",
    logits: str = "",
    state: str = "",
    gives: str = "logits",
    stochastic: bool = True,
    epsilon: float = 0.0,
    trained_on: str = "unknown",
) -> Onnx:
    """A network in an .onnx file: observation and state in, logits and state out.

    Args:
        family: what it is put to.
        path: the file.
        told: parts of the percept that it observes, joined by '+', in order; '' for all or the observation alone,
            whichever fits.
        observation: the input that takes the observation; by default the first.
        logits: the output that gives the logits; by default the first that is no state.
        state: input>output of each part of the state, joined by '+'; by default matched by name, else by order.
        gives: logits, probabilities, or values of the actions.
        stochastic: draw actions; else take the best.
        epsilon: part of the choices that is even, where it gives values.
        trained_on: unlimited, bank:M@seed or unknown.
    """
    one_of(GIVES, gives=gives)
    within(0, 1, epsilon=epsilon)
    path = os.fspath(path)
    runtime = require("onnxruntime", "onnx")
    model = _onnx_file.read(path)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _onnx_file.broken(path, str(error).strip().splitlines()[0][:300]) from None
    inputs = {p.name: p for p in (_port(path, x, "input") for x in session.get_inputs())}
    outputs = {p.name: p for p in (_port(path, x, "output") for x in session.get_outputs())}
    sees = _named(path, "input", observation, inputs) if observation else next(iter(inputs.values()))
    starts = next((p for name, p in inputs.items() if name.lower() in STARTS and p.width == 1), None)
    taking = [p for p in inputs.values() if p not in (sees, starts)]
    pairs = _pairs(path, state, taking, outputs, logits)
    giving = [o for o in outputs.values() if o not in [b for _, b in pairs]]
    if not giving:
        raise MesascopeError(
            f"{path!r} gives no logits: its outputs are {', '.join(outputs)}, all of them state.",
            "Export the logits as an output too.",
        )
    scores = _named(path, "output", logits, outputs) if logits else giving[0]
    watch = observer(family, told, None if 0 in _rest(sees) else sees.width)
    sees = sees._replace(
        shape=tuple(x or (watch.width if i != sees.axis else 0) for i, x in enumerate(sees.shape))
    )
    ports = [sees, *(a for a, _ in pairs), *filter(None, (starts,))]
    found = _laid(session, path, ports, [scores, *(b for _, b in pairs)], watch.width)
    for (port, _), out in zip(pairs, found[1:], strict=True):
        if out.width != port.width:
            raise MesascopeError(
                f"{path!r} takes {port.width} numbers in {port.name!r} and gives {out.width} in {out.name!r}.",
                "Pair them with state=input>output+input>output.",
            )
    if found[0].width != (family.choices or 1):
        raise MesascopeError(
            f"{path!r} gives {found[0].width} numbers in {found[0].name!r}, {family.name} has "
            f"{family.choices or 'real-valued'} actions.",
            f"Name the logits with logits=OUTPUT, of {', '.join(outputs)}, or put it to its own family.",
        )
    settings = {"path": path, "told": told, "stochastic": stochastic}
    return Onnx(
        name="onnx:" + ",".join(f"{k}={v}" for k, v in settings.items() if v != ""),
        trained_on=trained_on,
        session=session,
        path=path,
        observe=watch,
        sees=sees,
        starts=starts,
        state=tuple((port, out) for (port, _), out in zip(pairs, found[1:], strict=True)),
        scores=found[0],
        graph=hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        weights=_onnx_file.weights(path, model),
        gives=gives,
        stochastic=stochastic,
        epsilon=epsilon,
    )


def _port(path: str, told: Any, what: str) -> Port:
    if told.type not in TYPES:
        raise MesascopeError(
            f"The {what} {told.name!r} of {path!r} is {told.type}.", "Export it with plain tensors."
        )
    shape = tuple(x if isinstance(x, int) and x > 0 else 0 for x in told.shape)
    free = [i for i, size in enumerate(shape) if not size]
    axis = free[0] if free else (1 if len(shape) == 3 else 0)
    if not shape:
        raise MesascopeError(
            f"The {what} {told.name!r} of {path!r} is one number.", "Give it an axis of the batch."
        )
    return Port(told.name, shape, TYPES[told.type], axis)


def _rest(port: Port) -> list[int]:
    return [size for i, size in enumerate(port.shape) if i != port.axis]


def _named(path: str, what: str, name: str, known: dict[str, Port]) -> Port:
    if name not in known:
        raise MesascopeError(f"{path!r} has no {what} {name!r}.", f"Its {what}s are: {', '.join(known)}.")
    return known[name]


def _pairs(
    path: str, typed: str, taking: list[Port], outputs: dict[str, Port], logits: str
) -> list[tuple[Port, Port]]:
    """Each input of the state with the output that gives its next value.

    Raises:
        MesascopeError: an input has no output, which is named.
    """
    told = {pair.partition(">")[0]: pair.partition(">")[2] for pair in filter(None, typed.split("+"))}
    unknown = sorted(told.keys() - {p.name for p in taking})
    if unknown:
        known = ", ".join(p.name for p in taking) or "none"
        raise MesascopeError(f"{path!r} has no input of a state {unknown[0]!r}.", f"There are: {known}.")
    left = [o for o in outputs.values() if o.name != logits]
    free = left[1:] if not logits and len(left) > 1 else left if logits else []
    out, lacking = [], []
    for i, port in enumerate(taking):
        if port.name in told:
            out.append((port, _named(path, "output", told[port.name], outputs)))
            continue
        close = [o for o in free if port.name.lower() in o.name.lower()]
        if len(close) == 1:
            out.append((port, close[0]))
        elif len(free) == len(taking):
            out.append((port, free[i]))
        else:
            lacking.append(port.name)
    if lacking:
        raise MesascopeError(
            f"{path!r} takes the state {', '.join(map(repr, lacking))} and gives none back: "
            f"outputs are missing; there are only {', '.join(outputs)}.",
            "Export the next state as an output too, or pair them with state=input>output.",
        )
    return out


def _laid(session: Any, path: str, ports: list[Port], outs: list[Port], width: int) -> list[Port]:
    """The outputs with the axis of the batch and the shape that they have in two runs.

    Raises:
        MesascopeError: an output has no row per lifetime.
    """
    fixed = max((p.batch for p in ports), default=0)
    sizes = (fixed,) if fixed else SIZES
    whole = [o._replace(axis=0) for o in outs]
    shapes = []
    for n in sizes:
        fed = {
            p.name: p.filled(np.zeros((n, p.width if p is not ports[0] else width), p.kind)) for p in ports
        }
        try:
            shapes.append([np.shape(x) for x in session.run([o.name for o in whole], fed)])
        except Exception as error:
            raise MesascopeError(
                f"{path!r} refused its inputs: {str(error).strip().splitlines()[0][:300]}.",
                "Export it with a free batch axis, and see told, for what it observes.",
            ) from None
    out = []
    for port, *seen in zip(outs, *shapes, strict=True):
        if any(len(s) != len(seen[0]) for s in seen):
            raise MesascopeError(
                f"The output {port.name!r} of {path!r} changes its rank.", "Export it again."
            )
        moved = [i for i in range(len(seen[0])) if all(s[i] == n for s, n in zip(seen, sizes, strict=True))]
        if not moved or (not fixed and len(moved) != 1):
            raise MesascopeError(
                f"The output {port.name!r} of {path!r} has shape {seen[0]} for {sizes[0]} lifetimes: no row for each.",
                "Export it with a free batch axis.",
            )
        axis = port.axis if port.axis in moved else moved[0]
        out.append(
            port._replace(
                axis=axis, shape=tuple(0 if i == axis and not fixed else x for i, x in enumerate(seen[-1]))
            )
        )
    return out
