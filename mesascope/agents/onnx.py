"""A network in an .onnx file that maps observation and state to logits and the next state; onnxruntime runs it."""

import hashlib
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from mesascope.agents import onnx_file as _onnx_file
from mesascope.agents.foreign import BATCH_SIZES, OUTPUT_KINDS, ForeignNetwork, format_spec
from mesascope.agents.observing import make_percept_encoder
from mesascope.contracts import Family, Percept, Response, check_choice, check_range, import_optional_package
from mesascope.errors import MesascopeError, MesascopeWarning

START_FLAGS = ("episode_start", "episode_starts", "first", "is_first", "done", "dones", "reset")
DTYPES = {f"tensor({kind})": np.dtype(kind) for kind in ("double", "float16", "int64", "int32", "bool")}
DTYPES["tensor(float)"] = np.dtype("float32")


class Port(NamedTuple):
    """An input or output of a network.

    Attributes:
        name: the name of the input or output in the file.
        shape: the shape of its values, with 0 for axes of any size.
        dtype: the NumPy dtype of its values.
        batch_axis: the index of the axis with one entry per lifetime.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    batch_axis: int

    def flatten(self, value: np.ndarray) -> np.ndarray:
        """Reshapes the values of an output to rows [N, U], with U numbers for each of N lifetimes."""
        value = np.moveaxis(value, self.batch_axis, 0)
        return np.ascontiguousarray(value.reshape(len(value), -1))

    def unflatten(self, rows: np.ndarray) -> np.ndarray:
        """Reshapes rows [N, U], with U numbers for each of N lifetimes, to the shape of the input."""
        value = np.moveaxis(rows.reshape(len(rows), *(size or 1 for size in self.other_sizes)), 0, self.batch_axis)
        return np.ascontiguousarray(value, self.dtype)

    @property
    def width(self) -> int:
        """U, the number of values for each lifetime: the product of the sizes of all axes except the batch axis."""
        return math.prod(size or 1 for size in self.other_sizes)

    @property
    def other_sizes(self) -> list[int]:
        """The sizes of all axes except the batch axis, in order; 0 for axes of any size."""
        return [size for i, size in enumerate(self.shape) if i != self.batch_axis]

    @property
    def batch_size(self) -> int:
        """The only batch size that the port accepts; 0 if the port accepts any size."""
        return self.shape[self.batch_axis]


class Onnx(ForeignNetwork):
    """A network from an .onnx file, with frozen weights.

    Attributes:
        session: the session of onnxruntime that runs the network.
        path: the path of the file.
        inputs: the inputs for the observation and for the parts of the state, and last the input for the flag that
            marks the start of a lifetime, if the network has this input.
        outputs: the logits (or probabilities or values) of the actions, then the next state in the order of the inputs.
        model_hash: the SHA-256 hash of the model in the file, in hexadecimal digits.
        weight_hashes: the hash of every weight by its name.
        output_kind: what the first output contains for each action: 'logits', 'probabilities' or 'values'.
    """

    session: Any = eqx.field(static=True)
    path: str = eqx.field(static=True)
    inputs: tuple[Port, ...] = eqx.field(static=True)
    outputs: tuple[Port, ...] = eqx.field(static=True)
    model_hash: str = eqx.field(static=True)
    weight_hashes: dict[str, str] = eqx.field(static=True)
    output_kind: str

    @property
    def state(self) -> tuple[Port, ...]:
        """The inputs that take the parts of the network's state."""
        return self.inputs[1 : len(self.outputs)]

    def initialize_carry(self, n: int) -> dict[str, np.ndarray]:
        """Makes a state of zeros."""
        return {port.name: np.zeros((n, port.width), port.dtype) for port in self.state}

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Runs the network once for all lifetimes, or several times if the network has a fixed batch size."""
        x, starts = self.observe(percept), np.asarray(percept.first)[:, None]
        input_rows = [x, *(np.asarray(carry[port.name]) for port in self.state), starts][: len(self.inputs)]
        scores, *next_state = self._run(input_rows)
        state = {port.name: rows for port, rows in zip(self.state, next_state, strict=True)}
        return state, self.choose(key, scores, self.output_kind)

    def _run(self, input_rows: list[np.ndarray]) -> list[np.ndarray]:
        """Computes the outputs as rows [N, U]; runs a network with a fixed batch size on parts of the rows."""
        n = len(input_rows[0])
        size = max(port.batch_size for port in self.inputs) or n
        parts = []
        for start in range(0, n, size):
            rows = np.minimum(np.arange(start, start + size), n - 1)
            values = run_session(self.session, self.path, self.inputs, self.outputs, [x[rows] for x in input_rows])
            parts.append([port.flatten(value) for port, value in zip(self.outputs, values, strict=True)])
        return [np.concatenate(column)[:n] for column in zip(*parts, strict=True)]

    def read_taps(self, carry: Any) -> dict[str, Any]:
        """Returns the parts of the state, each under the name of its input."""
        return dict(carry)

    def hash_weights(self) -> dict[str, str]:
        """Returns the hash of every weight in the file; the running model was read from this file and cannot change."""
        return dict(self.weight_hashes)


def run_session(session: Any, path: str, inputs: Sequence[Port], outputs: Sequence[Port], input_rows: Any) -> list[Any]:
    """Runs the network on rows [N, U] for every input, and returns the outputs.

    Raises:
        MesascopeError: the network raised an error on its inputs.
    """
    feeds = {port.name: port.unflatten(rows) for port, rows in zip(inputs, input_rows, strict=True)}
    try:
        return [np.asarray(x) for x in session.run([port.name for port in outputs], feeds)]
    except Exception as error:  # onnxruntime's own errors
        problem = f"{path!r} refused its inputs: {str(error).strip().splitlines()[0][:300]}."
        remedy = "Export it with a free batch axis, and set observes to the parts that it was trained on."
        raise MesascopeError(problem, remedy) from None


def can_open(path: str | os.PathLike) -> bool:
    """Whether this adapter opens a file: only the ending .onnx decides, because ONNX files have no signature."""
    return Path(path).suffix.lower() == ".onnx"


def subject(
    family: Family,
    *,
    path: str,
    observes: str = "",
    observation: str = "",
    logits: str = "",
    state: str = "",
    output_kind: str = "logits",
    stochastic: bool = True,
    epsilon: float = 0.0,
    trained_on: str = "unknown",
) -> Onnx:
    """A network in an .onnx file that maps observation and state to logits and the next state.

    Args:
        family: the family that the network runs on.
        path: the path of the file.
        observes: the parts of the percept that the network receives, in order, joined by '+'. If it is '', the network
            receives all parts except the step, or the observation alone if only the observation fits.
        observation: the name of the input for the observation; by default the first input.
        logits: the name of the output with the logits; by default the first output that is not part of the state.
        state: input>output for each part of the state, joined by '+'; by default the outputs are matched with the
            inputs by name, then by order.
        output_kind: what the network returns for each action: logits, probabilities or values. With values, it takes
            the action with the largest value.
        stochastic: whether the network draws actions; otherwise it takes the best action.
        epsilon: the probability of a uniformly random choice, if the outputs are values.
        trained_on: the tasks that it was trained on: unlimited (ever new tasks of the family), bank:M@seed (M tasks
            drawn by seed) or unknown.
    """
    check_choice(OUTPUT_KINDS, output_kind=output_kind)
    check_range(0, 1, epsilon=epsilon)
    path = os.fspath(path)
    runtime = import_optional_package("onnxruntime", "onnx")
    model = _onnx_file.read_model(path)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    if not os.environ.get("OMP_NUM_THREADS"):  # a small network is slower with several threads beside other work
        options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _onnx_file.ONNX.make_error(path, str(error).strip().splitlines()[0][:300]) from None
    inputs = {x.name: _make_port(path, x, "input") for x in session.get_inputs()}
    outputs = {x.name: _make_port(path, x, "output") for x in session.get_outputs()}
    observation_port = _get_port(path, "input", observation, inputs) if observation else next(iter(inputs.values()))
    starts = next((p for name, p in inputs.items() if name.lower() in START_FLAGS and p.width == 1), None)
    state_inputs = [p for p in inputs.values() if p not in (observation_port, starts)]
    if not state_inputs and (operators := _onnx_file.find_recurrent_operators(model)):
        message = f"{path!r} contains a {operators[0]}, but takes no state, so it forgets everything between trials. "
        message += "If it should remember, export it with its state as an input and an output."
        warnings.warn(message, MesascopeWarning, stacklevel=2)
    state_outputs = _match_states(path, state, state_inputs, outputs, logits)
    other_outputs = [o for o in outputs.values() if o not in state_outputs]
    if not other_outputs:
        problem = f"{path!r} gives no logits; its outputs are {', '.join(outputs)}, which are all states."
        raise MesascopeError(problem, "Export the logits as an output too.")
    scores = _get_port(path, "output", logits, outputs) if logits else other_outputs[0]
    has_free_width = 0 in observation_port.other_sizes
    observer = make_percept_encoder(family, observes, None if has_free_width else observation_port.width)
    sizes = [size or observer.width for size in observation_port.shape]
    sizes[observation_port.batch_axis] = observation_port.batch_size
    input_ports = (observation_port._replace(shape=tuple(sizes)), *state_inputs, *([starts] if starts else []))
    output_ports = _measure_outputs(session, path, input_ports, [scores, *state_outputs], observer.width)
    for port, out in zip(state_inputs, output_ports[1:], strict=True):
        if out.width != port.width:
            problem = f"{path!r} takes {port.width} numbers in {port.name!r} and gives {out.width} in {out.name!r}."
            raise MesascopeError(problem, "Pair them with state=input>output+input>output.")
    if (width := output_ports[0].width) != (family.choices or 1):
        actions = f"{family.choices or 'real-valued'} actions"
        problem = f"{path!r} gives {width} numbers in {output_ports[0].name!r}; {family.name} has {actions}."
        remedy = f"Name the logits with logits=OUTPUT, of {', '.join(outputs)}, or run it on its own family."
        raise MesascopeError(problem, remedy)
    name = format_spec("onnx", path=path, observes=observes, stochastic=stochastic)
    return Onnx(
        name=name,
        trained_on=trained_on,
        observe=observer,
        is_stochastic=stochastic,
        epsilon=epsilon,
        session=session,
        path=path,
        inputs=input_ports,
        outputs=output_ports,
        model_hash=hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        weight_hashes=_onnx_file.hash_weights(path, model),
        output_kind=output_kind,
    )


def _make_port(path: str, tensor: Any, role: str) -> Port:
    if tensor.type not in DTYPES:
        problem = f"The {role} {tensor.name!r} of {path!r} is {tensor.type}."
        raise MesascopeError(problem, "Export it with plain tensors.")
    shape = tuple(x if isinstance(x, int) and x > 0 else 0 for x in tensor.shape)
    free_axes = [i for i, size in enumerate(shape) if not size]
    axis = free_axes[0] if free_axes else (1 if len(shape) == 3 else 0)
    if not shape:
        raise MesascopeError(f"The {role} {tensor.name!r} of {path!r} is one number.", "Give it a batch axis.")
    return Port(tensor.name, shape, DTYPES[tensor.type], axis)


def _get_port(path: str, role: str, name: str, ports: dict[str, Port]) -> Port:
    if name not in ports:
        raise MesascopeError(f"{path!r} has no {role} {name!r}.", f"Its {role}s are: {', '.join(ports)}.")
    return ports[name]


def _match_states(path: str, spec: str, state_inputs: list[Port], outputs: dict[str, Port], logits: str) -> list[Port]:
    """Finds, for each input of the state, the output that contains its next value.

    Raises:
        MesascopeError: an input has no matching output; the message names it.
    """
    output_names = {pair.partition(">")[0]: pair.partition(">")[2] for pair in filter(None, spec.split("+"))}
    unknown_names = sorted(output_names.keys() - {p.name for p in state_inputs})
    if unknown_names:
        valid_names = ", ".join(p.name for p in state_inputs) or "none"
        raise MesascopeError(f"{path!r} has no state input {unknown_names[0]!r}.", f"There are: {valid_names}.")
    candidates = [o for o in outputs.values() if o.name != logits]
    unpaired = candidates[1:] if not logits and len(candidates) > 1 else candidates if logits else []
    result, unmatched = [], []
    for i, port in enumerate(state_inputs):
        similar = [o for o in unpaired if port.name.lower() in o.name.lower()]
        if port.name in output_names:
            result.append(_get_port(path, "output", output_names[port.name], outputs))
        elif len(similar) == 1:
            result.append(similar[0])
        elif len(unpaired) == len(state_inputs):
            result.append(unpaired[i])
        else:
            unmatched.append(port.name)
    if unmatched:
        problem = f"{path!r} takes the state {', '.join(map(repr, unmatched))} but does not return it: "
        problem += f"its only outputs are {', '.join(outputs)}."
        raise MesascopeError(problem, "Export the next state as an output too, or pair them with state=input>output.")
    return result


def _measure_outputs(session: Any, path: str, inputs: Any, outputs: list[Port], width: int) -> tuple[Port, ...]:
    """Finds the batch axes and shapes of the outputs by running the network with two batch sizes.

    Raises:
        MesascopeError: an output has no row per lifetime.
    """
    fixed_size = max(port.batch_size for port in inputs)
    sizes = (fixed_size,) if fixed_size else BATCH_SIZES
    shapes = []
    for n in sizes:
        input_rows = [np.zeros((n, width if i == 0 else port.width)) for i, port in enumerate(inputs)]
        shapes.append([x.shape for x in run_session(session, path, inputs, outputs, input_rows)])
    result = []
    for port, *port_shapes in zip(outputs, *shapes, strict=True):
        if len({len(shape) for shape in port_shapes}) > 1:
            raise MesascopeError(f"The output {port.name!r} of {path!r} has no fixed rank.", "Export it again.")
        batch_axes = [i for i, axis_sizes in enumerate(zip(*port_shapes, strict=True)) if axis_sizes == sizes]
        if not batch_axes or (not fixed_size and len(batch_axes) != 1):
            name, shape = f"The output {port.name!r} of {path!r}", port_shapes[0]
            problem = f"{name} has shape {shape} for {sizes[0]} lifetimes, not one row each."
            raise MesascopeError(problem, "Export it with a free batch axis.")
        axis = port.batch_axis if port.batch_axis in batch_axes else batch_axes[0]
        shape = tuple(0 if i == axis and not fixed_size else size for i, size in enumerate(port_shapes[-1]))
        result.append(port._replace(batch_axis=axis, shape=shape))
    return tuple(result)
