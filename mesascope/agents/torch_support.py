"""Functions that all PyTorch subjects share: safe loading, seeding, hooks, states of any layout, and hashes."""

import contextlib
import copy
import fnmatch
import functools
import math
import os
import pickle
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from mesascope.agents import tensors as _tensors
from mesascope.agents.foreign import BATCH_SIZES, ForeignNetwork
from mesascope.contracts import import_optional_package
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.guards.identity import hash_array

MAX_UNITS = 1 << 16  # the maximum number of units in one tap
MAX_EXTRA_WEIGHTS = 1 << 20  # the number of weights that a network may have in addition to those in its file
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
HOOK_PREFIX = "seen "  # the prefix, in a carry, of the names of activations from hooked submodules


class StateTensor(NamedTuple):
    """One tensor of a module's state.

    Attributes:
        tap_names: the names of the tensor's taps. There is one name, or one per layer if the tensor has the shape
            [layers, lifetimes, units].
        batch_axis: the index of the axis with one entry per lifetime.
        shape: the sizes of all axes except the batch axis.
        dtype: the tensor's dtype in NumPy.
        is_growing: whether the tensor has another shape after every step, such as a cache of keys and values. Its only
            'tap' is then an object array [N] with one array per lifetime, and is not shown to metrics.
    """

    tap_names: tuple[str, ...]
    batch_axis: int
    shape: tuple[int, ...]
    dtype: Any
    is_growing: bool = False

    def make_zeros(self, n: int) -> dict[str, np.ndarray]:
        """Makes the taps of n lifetimes that have not begun."""
        if self.is_growing:
            return {self.tap_names[0]: np.full(n, None, object)}
        width = math.prod(self.shape) // len(self.tap_names)
        return {k: np.zeros((n, width), self.dtype) for k in self.tap_names}

    def split_taps(self, tensor: Any) -> dict[str, np.ndarray]:
        """Splits a tensor into its taps, by name; each is [N, U], with U units for each of N lifetimes."""
        value = np.moveaxis(tensor.detach().cpu().numpy(), self.batch_axis, 0)
        if self.is_growing:
            rows = np.empty(len(value), object)
            for i, row in enumerate(value):
                rows[i] = np.array(row)
            return {self.tap_names[0]: rows}
        parts = np.split(value, len(self.tap_names), axis=1) if len(self.tap_names) > 1 else [value]
        return {k: np.array(p.reshape(len(p), -1)) for k, p in zip(self.tap_names, parts, strict=True)}

    def restore_tensor(self, carry: dict[str, Any]) -> Any:
        """Restores the tensor from a carry."""
        if self.is_growing:
            array = np.moveaxis(np.stack(list(carry[self.tap_names[0]])), 0, self.batch_axis)
            return import_optional_package("torch", "torch").tensor(np.ascontiguousarray(array))
        value = np.concatenate([np.asarray(carry[k], self.dtype) for k in self.tap_names], axis=1)
        array = np.moveaxis(value.reshape(len(value), *self.shape), 0, self.batch_axis)
        return import_optional_package("torch", "torch").tensor(np.ascontiguousarray(array))


class TorchSubject(ForeignNetwork):
    """A subject that runs a PyTorch module with frozen weights; subclasses are final.

    Attributes:
        module: the PyTorch module.
        tapped_modules: the paths of the submodules whose outputs are taps.
        state: the layout of the module's state; empty for a feed-forward module.
        tap_widths: the width of each tap of a hooked submodule, by name.
    """

    module: Any = eqx.field(static=True)
    tapped_modules: tuple[str, ...]
    state: tuple[StateTensor, ...] = eqx.field(static=True)
    tap_widths: dict[str, int] = eqx.field(static=True)

    def initialize_carry(self, n: int) -> dict[str, np.ndarray]:
        """Makes a state of zeros, and zeros for the taps of hooked submodules."""
        carry: dict[str, Any] = {HOOK_PREFIX + k: np.zeros((n, u), np.float32) for k, u in self.tap_widths.items()}
        for tensor in self.state:
            carry |= tensor.make_zeros(n)
        return carry

    def restore_state(self, carry: dict[str, Any]) -> list[Any]:
        """Restores the tensors of the module's state from a carry."""
        return [tensor.restore_tensor(carry) for tensor in self.state]

    def pack_carry(self, state: Sequence[Any], hook_outputs: dict[str, Any], n: int) -> dict[str, np.ndarray]:
        """Packs the tensors of a state and the outputs of hooked submodules into a carry."""
        hook_taps, carry = collect_taps(hook_outputs, n), {}
        for layout, tensor in zip(self.state, state, strict=True):
            carry |= layout.split_taps(tensor)
        return carry | {HOOK_PREFIX + k: hook_taps[k] for k in self.tap_widths}

    def read_taps(self, carry: Any) -> dict[str, Any]:
        """Returns the parts of the state by name ('gru.h'), and the outputs of hooked submodules by path ('head')."""
        state = {k: carry[k] for tensor in self.state if not tensor.is_growing for k in tensor.tap_names}
        # copies, so that `write_taps` refuses to write to them, because no response reads these activations
        return state | {k: np.array(carry[HOOK_PREFIX + k]) for k in self.tap_widths}

    def hash_weights(self) -> dict[str, str]:
        """Computes the hash of every parameter and buffer by its name."""
        return hash_parameters(self.module)


@contextlib.contextmanager
def fork_seed(seed: int) -> Iterator[Any]:
    """Seeds torch inside this context, and restores the global random state afterwards."""
    torch = import_optional_package("torch", "torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield torch


@contextlib.contextmanager
def seed_without_gradients(seed: int) -> Iterator[Any]:
    """Seeds torch inside this context as `fork_seed` does, turns off gradients, and uses one thread."""
    with fork_seed(seed) as torch, use_one_thread(torch), torch.inference_mode():
        yield torch


@contextlib.contextmanager
def use_one_thread(torch: Any) -> Iterator[None]:
    """Lets torch use one thread inside this context, unless OMP_NUM_THREADS or MKL_NUM_THREADS sets another number.

    A network of this size is not faster with several threads, and several times slower if other work runs beside it.
    """
    threads = torch.get_num_threads()
    if threads == 1 or any(os.environ.get(name) for name in THREAD_VARIABLES):
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def make_seed(key: jax.Array) -> int:
    """Makes a seed for torch from a JAX key."""
    return int(np.asarray(jax.random.key_data(key)).view(np.uint32)[-1])


def freeze(module: Any) -> Any:
    """Puts the module on the CPU in evaluation mode, without gradients; weights of half precision become float32."""
    torch = import_optional_package("torch", "torch")
    if any(weight.dtype in (torch.float16, torch.bfloat16) for weight in module.parameters()):
        module = copy.deepcopy(module).float()  # the user's own module keeps its precision
    module = module.cpu().eval()
    for weight in module.parameters():
        weight.requires_grad_(False)
    return module


def hash_parameters(module: Any) -> dict[str, str]:
    """Computes the hash of every parameter and buffer by its name in the state dict."""
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    return {name: hash_array(_convert_to_numpy(tensor)) for name, tensor in sorted(tensors.items())}


def _convert_to_numpy(tensor: Any) -> np.ndarray:
    torch = import_optional_package("torch", "torch")
    tensor = tensor.detach().cpu()
    return (tensor.view(torch.uint8) if tensor.dtype == torch.bfloat16 else tensor).numpy()


@contextlib.contextmanager
def record_outputs(module: Any, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Records the last output of each submodule by its path, with forward hooks, inside this context."""
    hook_outputs: dict[str, Any] = {}
    cell_class = import_optional_package("torch", "torch").nn.RNNCellBase

    def keep_output(path: str, submodule: Any, _: Any, output: Any) -> None:
        if isinstance(submodule, cell_class):  # give the output the form that the corresponding layer returns
            output = (output[0] if isinstance(output, tuple) else output, output)
        hook_outputs[path] = output

    with contextlib.ExitStack() as handles:
        for path in paths:
            hook = functools.partial(keep_output, path)
            handles.enter_context(module.get_submodule(path).register_forward_hook(hook))
        yield hook_outputs


def match_paths(module: Any, patterns: str) -> tuple[str, ...]:
    """Finds the paths of submodules that match any of the patterns, which are joined by '+'.

    Raises:
        MesascopeError: a pattern matches no submodule.
    """
    paths = [path for path, _ in module.named_modules() if path]
    result: list[str] = []
    for pattern in filter(None, patterns.split("+")):
        matches = fnmatch.filter(paths, pattern)
        if not matches:
            remedy = f"The submodules are: {', '.join(paths[:40])}."
            raise MesascopeError(f"hooks={pattern!r} matches no submodule.", remedy)
        result += matches
    return tuple(dict.fromkeys(result))


def collect_taps(hook_outputs: dict[str, Any], n: int) -> dict[str, np.ndarray]:
    """Makes taps [N, U] from submodules' outputs: 'path' for a tensor, 'path.h' and 'path.c' for recurrent states."""
    taps: dict[str, np.ndarray] = {}
    for path, output in hook_outputs.items():
        for name, tensor in label_tensors(path, output):
            shape = tuple(tensor.shape)
            axis = next((i for i, size in enumerate(shape[:2]) if size == n), None)
            if axis is not None and tensor.numel() <= n * MAX_UNITS:
                value = np.moveaxis(_convert_to_numpy(tensor), axis, 0)
                taps[name] = np.array(value.reshape(n, -1), np.float32)
    return taps


def label_tensors(path: str, output: Any) -> Iterator[tuple[str, Any]]:
    """Names the tensors in a submodule's output.

    From an LSTM, these are its output, h and c; from a GRU, its output and h; from others, the first tensor.
    """
    if isinstance(output, tuple) and len(output) == 2 and hasattr(output[0], "shape"):
        yield path, output[0]
        if isinstance(output[1], tuple) and len(output[1]) == 2:
            yield f"{path}.h", output[1][0]
            yield f"{path}.c", output[1][1]
        elif hasattr(output[1], "shape"):
            yield f"{path}.h", output[1]
        return
    tensors = [x for x in jax.tree.leaves(output) if hasattr(x, "shape")]
    yield from ((path, tensor) for tensor in tensors[:1])


def measure_tap_widths(hook_outputs: dict[str, Any], n: int, state: Sequence[StateTensor]) -> dict[str, int]:
    """Measures the width of each tap of a submodule, except for taps that the state already contains."""
    state_taps = {k for tensor in state for k in tensor.tap_names}
    return {k: v.shape[1] for k, v in collect_taps(hook_outputs, n).items() if k not in state_taps}


def name_taps(name: str, count: int) -> tuple[str, ...]:
    """Makes the names of a state's taps: one name, or one per layer if there are several layers."""
    return (name,) if count == 1 else tuple(f"{name}_l{k}" for k in range(count))


def find_state_layout(small_state: list[Any], large_state: list[Any], hook_outputs: Any) -> tuple[StateTensor, ...]:
    """Finds the layout of a state from runs with both BATCH_SIZES, and names its parts after their submodules.

    Raises:
        MesascopeError: a part of the state has no batch axis.
    """
    layout = []
    named_outputs = [pair for path, output in hook_outputs.items() for pair in label_tensors(path, output)]
    for i, (a, b) in enumerate(zip(small_state, large_state, strict=True)):
        batch_axes = [j for j, (x, y) in enumerate(zip(a.shape, b.shape, strict=True)) if (x, y) == BATCH_SIZES]
        if len(batch_axes) != 1:
            problem = f"Part {i} of the network's state has shape {tuple(a.shape)} for {BATCH_SIZES[0]} lifetimes and "
            problem += f"{tuple(b.shape)} for {BATCH_SIZES[1]}, so no axis is the batch axis."
            remedy = "Use one row per lifetime, or set layout to time or batch_time if the network takes sequences."
            raise MesascopeError(problem, remedy)
        other_sizes = tuple(x for j, x in enumerate(a.shape) if j != batch_axes[0])
        equal_names = [
            k for k, x in named_outputs if x.shape == b.shape and x.dtype == b.dtype and bool((x == b).all())
        ]
        name = max(equal_names, key=lambda k: k.endswith((".h", ".c")), default=f"state.{i}")
        used_names = {x for tensor in layout for x in tensor.tap_names}
        name = f"state.{i}" if {name, f"{name}_l0"} & used_names else name
        layers = other_sizes[0] if len(other_sizes) == 2 and other_sizes[0] > 1 and batch_axes[0] == 1 else 1
        layout.append(StateTensor(name_taps(name, layers), batch_axes[0], other_sizes, _convert_to_numpy(a).dtype))
    return tuple(layout)


def mark_growing(layout: tuple[StateTensor, ...], first: list[Any], second: list[Any]) -> tuple[StateTensor, ...]:
    """Marks the tensors of a state whose shape after the second step differs from that after the first.

    Raises:
        MesascopeError: the numbers of tensors differ.
    """
    if len(first) != len(second):
        problem = f"The network's state has {len(first)} parts after the first step and {len(second)} after the second."
        raise MesascopeError(problem, "Keep the number of tensors in the state, or read the history with context=.")
    return tuple(
        tensor._replace(is_growing=True, tap_names=(f"state.{i}",)) if a.shape != b.shape else tensor
        for i, (tensor, a, b) in enumerate(zip(layout, first, second, strict=True))
    )


def can_open(path: str | os.PathLike) -> bool:
    """Whether a file's name or its members are typical of a file that torch.save wrote."""
    if Path(path).suffix.lower() in (".pt", ".pth", ".ckpt"):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            is_at_start = min((x.header_offset for x in members), default=1) == 0  # not a zip inside a broken file
            return is_at_start and any(re.fullmatch(r"[^/]+/data\.pkl", x.filename) for x in members)
    except (OSError, zipfile.BadZipFile, ValueError):
        return False


def load_torch_file(source: Any, label: str) -> Any:
    """Reads only tensors and plain data (weights_only=True) from a file that torch.save wrote.

    Raises:
        MesascopeError: the file is broken, or reading it would run code.
    """
    import_optional_package("torch", "torch")
    try:
        _tensors.check_tensor_file(source)
        return gate.load_weights(source)
    except FileNotFoundError:
        raise MesascopeError(f"There is no file {label}.", "Name a file of weights.") from None
    except pickle.UnpicklingError as error:
        reason = str(error).partition("Please file an issue")[0].strip().splitlines()
        message = next((line.strip() for line in reason if "Unsupported" in line or "GLOBAL" in line), "")
        problem = f"{label} contains objects besides weights, so reading it would run code"
        problem += f"{': ' * bool(message)}{message}."
        raise MesascopeError(problem, "Save only the weights: torch.save(module.state_dict(), path).") from None
    except Exception as error:  # a reader may raise anything on a broken file
        lines = str(error).strip().splitlines() or [type(error).__name__]
        problem = f"{label} is not a valid file of weights: {lines[0][:200]}."
        if "TorchScript" in str(error):
            problem = f"{label} is a TorchScript archive, which contains code."
        remedy = "Copy it again, or save the weights: torch.save(module.state_dict(), path)."
        raise MesascopeError(problem, remedy) from None


@contextlib.contextmanager
def limit_parameters(n_weights: int, error: Exception) -> Iterator[None]:
    """Raises `error` if modules made in this context have more than `n_weights` + MAX_EXTRA_WEIGHTS weights."""
    count = 0

    def count_weight(module: Any, name: str, weight: Any) -> None:
        nonlocal count
        count += 0 if weight is None else weight.numel()
        if (
            count > n_weights + MAX_EXTRA_WEIGHTS
        ):  # raised before initialisation, because allocation alone takes no memory
            raise error

    torch = import_optional_package("torch", "torch")
    hook = torch.nn.modules.module.register_module_parameter_registration_hook(count_weight)
    try:
        yield
    finally:
        hook.remove()


def load_weights(module: Any, weights: Any, label: str) -> None:
    """Loads a state dict into a module, whose weights must have the same names and shapes."""
    if not isinstance(weights, dict) or not all(isinstance(k, str) and hasattr(v, "shape") for k, v in weights.items()):
        raise MesascopeError(f"{label} is not a state dict.", "Save torch.save(module.state_dict(), path).")
    infinite = sorted(k for k, v in weights.items() if v.is_floating_point() and not bool(v.isfinite().all()))
    if infinite:
        problem = f"{label}: the weights {', '.join(infinite[:8])} are not all finite."
        raise MesascopeError(problem, "Train the network or save the file again.")
    try:
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        details = "; ".join(line.strip() for line in str(error).splitlines()[1:6])
        problem = f"{label} does not fit the network: {details}"
        raise MesascopeError(problem, "Name the module that it was saved from.") from None
