"""A PyTorch module as a subject: forward(x, state) → (logits, state), or forward(x) → logits.

x [N, F] is the percept of N lifetimes, encoded by the module `observing` as F numbers. The carry contains the state of
the PyTorch module, with one row per lifetime.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import jax
import numpy as np

from mesascope.agents import torch_support as _torch
from mesascope.agents.foreign import BATCH_SIZES, OUTPUT_KINDS, format_spec
from mesascope.agents.observing import DEFAULT_PARTS, make_percept_encoder
from mesascope.agents.torch_support import TorchSubject, record_outputs
from mesascope.contracts import Family, Percept, Response, check_choice, check_range, import_optional_package
from mesascope.errors import MesascopeError
from mesascope.guards import gate

FACTORY_RUNS_CODE = True  # a user who types the path of a factory wants its code to run
LAYOUTS = ("batch", "time", "batch_time")  # x [N, F], [1, N, F] or [N, 1, F]

can_open = _torch.can_open


class TorchModule(TorchSubject):
    """A PyTorch module with frozen weights.

    Attributes:
        layout: the shape of the module's input: 'batch' for [N, F], 'time' for [1, N, F], 'batch_time' for [N, 1, F].
        output_kind: what the first output contains for each action: 'logits', 'probabilities' or 'values'.
        state_structure: the pytree structure of the module's state; the field `state` describes its tensors.
        make_untrained: a function that makes the module with new weights; None if there is no untrained twin.
    """

    layout: str
    output_kind: str
    state_structure: Any = eqx.field(static=True)
    make_untrained: Callable[[], Any] | None = eqx.field(static=True)

    def initialize_carry(self, n: int) -> dict[str, np.ndarray]:
        """Makes zeros for lifetimes that have not begun; for these, the module receives its initial state instead."""
        return super().initialize_carry(n) | ({"begun": np.zeros(n, bool)} if self.state else {})

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Calls the module once for all lifetimes, or twice if only some have begun."""
        x = self.observe(percept)
        begun_rows = np.asarray(carry["begun"]) if self.state else np.zeros(len(x), bool)
        groups = [rows for has_begun in (True, False) if len(rows := np.flatnonzero(begun_rows == has_begun))]
        with _torch.seed_without_gradients(_torch.make_seed(key)):
            parts = [self._call_policy(x[rows], {k: np.asarray(v)[rows] for k, v in carry.items()}) for rows in groups]
        order = np.argsort(np.concatenate(groups))
        scores, next_carry = jax.tree.map(lambda *p: np.concatenate(p)[order], *parts)
        return next_carry, self.choose(key, scores, self.output_kind)

    def _call_policy(self, x: np.ndarray, carry: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Computes the outputs and the next carry of lifetimes of which either all or none have begun."""
        if self.state and carry["begun"].all():
            state = self.state_structure.unflatten(self.restore_state(carry))
        else:
            state = make_initial_state(self.module, len(x))
        with record_outputs(self.module, self.tapped_modules) as hook_outputs:
            scores, next_state = call_module(self.module, x, state, self.layout, bool(self.state))
        next_carry = self.pack_carry(jax.tree.leaves(next_state), hook_outputs, len(x))
        return scores, next_carry | ({"begun": np.ones(len(x), bool)} if self.state else {})

    def make_untrained_twin(self, seed: int) -> Self | None:
        """Makes the subject with the weights that its factory sets; None if the subject has these weights now."""
        if self.make_untrained is None:
            return None
        with _torch.fork_seed(seed):
            twin = _torch.freeze(self.make_untrained())
        if _torch.hash_parameters(twin) == self.hash_weights():
            return None
        return dataclasses.replace(self, module=twin)


def make_initial_state(module: Any, n: int) -> Any:
    """Makes the state at the start of a lifetime: initial_state(n) if the module has this method, otherwise None."""
    return module.initial_state(n) if callable(getattr(module, "initial_state", None)) else None


def call_module(module: Any, x: np.ndarray, state: Any, layout: str, is_recurrent: bool) -> tuple[np.ndarray, Any]:
    """Calls a module on x [N, F], and returns its first output [N, K] and its next state.

    Raises:
        MesascopeError: the module raised an exception, did not return (logits, state) although it takes a state, or did
            not return one row of logits per lifetime.
    """
    torch = import_optional_package("torch", "torch")
    batch = torch.tensor(x)
    inputs = {"batch": batch, "time": batch[None], "batch_time": batch[:, None]}[layout]
    try:
        outputs = module(inputs, state) if is_recurrent else module(inputs)
    except Exception as error:
        call = f"It was called as module(x{', state' * is_recurrent}) with x of shape {tuple(inputs.shape)}"
        problem = f"The module {type(module).__name__} raised {type(error).__name__}: {error}."
        remedy = f"{call}. Check the settings observes (the content of x) and layout."
        raise MesascopeError(problem, remedy) from error
    if is_recurrent and not (isinstance(outputs, tuple) and len(outputs) >= 2):
        problem = f"The module {type(module).__name__} takes a state, but returned {type(outputs).__name__}."
        raise MesascopeError(problem, "Return (logits, state).")
    first = outputs[0] if isinstance(outputs, tuple | list) else outputs
    shape = getattr(first, "shape", None)
    if not shape or first.numel() % len(x) or first.numel() == 0:
        found = type(first).__name__ if shape is None else f"of shape {tuple(shape)}"
        problem = f"The first output of {type(module).__name__} is {found} for {len(x)} lifetimes."
        raise MesascopeError(problem, f"Return logits of shape ({len(x)}, choices) as the first output.")
    return first.detach().float().cpu().numpy().reshape(len(x), -1), outputs[-1] if is_recurrent else None


def wrap(
    module: Any,
    family: Family,
    name: str = "",
    observes: str = DEFAULT_PARTS,
    layout: str = "batch",
    *,
    output_kind: str = "logits",
    hooks: str = "",
    stochastic: bool = True,
    epsilon: float = 0.0,
    trained_on: str = "unknown",
    make_untrained: Callable[[], Any] | None = None,
) -> TorchModule:
    """Makes a subject from a module in Python; see `subject` for the settings.

    Args:
        make_untrained: a function that makes the module with new weights, for the untrained twin that is a control for
            decoding.
    """
    torch = import_optional_package("torch", "torch")
    if not isinstance(module, torch.nn.Module):
        raise MesascopeError(f"{type(module).__name__} is not a torch.nn.Module.", "Pass the module itself.")
    check_choice(LAYOUTS, layout=layout)
    check_choice(OUTPUT_KINDS, output_kind=output_kind)
    check_range(0, 1, epsilon=epsilon)
    module, observer = _torch.freeze(module), make_percept_encoder(family, observes or DEFAULT_PARTS)
    paths, is_recurrent = _torch.match_paths(module, hooks), _has_state_parameter(module)
    submodules = [path for path, _ in module.named_modules() if path]
    with _torch.seed_without_gradients(0), record_outputs(module, submodules) as hook_outputs:
        batches = [np.zeros((n, observer.width), np.float32) for n in BATCH_SIZES]
        runs = [call_module(module, x, None, layout, is_recurrent) for x in batches]
    small_state, large_state = ([t for t in jax.tree.leaves(state) if hasattr(t, "shape")] for _, state in runs)
    if is_recurrent and not small_state:
        raise MesascopeError(f"{type(module).__name__} takes a state, but returned none.", "Return (logits, state).")
    count = runs[0][0].shape[1]
    if count != (family.choices or 1):
        problem = f"The network gives {count} numbers, but {family.name} has {family.choices or 'real-valued'} actions."
        raise MesascopeError(problem, "Run it on a family with as many choices, or return the logits first.")
    state = _torch.find_state_layout(small_state, large_state, hook_outputs) if is_recurrent else ()
    hook_outputs = {path: hook_outputs[path] for path in paths if path in hook_outputs}
    name = name or f"{type(module).__name__}(stochastic={stochastic})"
    return TorchModule(
        name=name,
        trained_on=trained_on,
        observe=observer,
        is_stochastic=stochastic,
        epsilon=epsilon,
        module=module,
        tapped_modules=tuple(hook_outputs),
        state=state,
        tap_widths=_torch.measure_tap_widths(hook_outputs, BATCH_SIZES[1], state),
        layout=layout,
        output_kind=output_kind,
        state_structure=jax.tree.structure(runs[0][1]),
        make_untrained=make_untrained,
    )


def subject(
    family: Family,
    *,
    path: str = "",
    factory: str = "",
    observes: str = DEFAULT_PARTS,
    layout: str = "batch",
    output_kind: str = "logits",
    hooks: str = "",
    stochastic: bool = True,
    epsilon: float = 0.0,
    trained_on: str = "unknown",
    trust: bool = False,
) -> TorchModule:
    """A PyTorch module, recurrent or not, with weights from a state dict.

    Args:
        family: the family that the module runs on.
        path: the path of a state dict that torch.save wrote; '' for the weights that the factory sets.
        factory: package.module:factory, which is called as factory(family) or factory() and returns the module.
        observes: the parts of the percept that the module receives, in order, joined by '+'.
        layout: batch if x is [N, F], time if it is [1, N, F], or batch_time if it is [N, 1, F].
        output_kind: what the module returns for each action: logits, probabilities or values. With values, the
            subject takes the action with the largest value.
        hooks: patterns that select the submodules to tap, joined by '+'; hooks=* selects all.
        stochastic: whether the subject draws actions; otherwise it takes the best action.
        epsilon: the probability of a uniformly random choice, if the outputs are values.
        trained_on: the tasks that it was trained on: unlimited (ever new tasks of the family), bank:M@seed (M tasks
            drawn by seed) or unknown.
        trust: whether a factory that the file names may run.
    """
    import_optional_package("torch", "torch")
    content = _torch.load_torch_file(path, repr(path)) if path else None
    weights, file_factory = content, ""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        weights, file_factory = content["state_dict"], content.get("factory", "")
    if not factory:
        if not isinstance(file_factory, str) or not file_factory:
            problem = f"{path!r} contains weights, but no module." if path else "There is no module."
            remedy = f"Type torch_module:factory=package.module:factory{',path=' + path if path else ''}."
            raise MesascopeError(problem, remedy)
        if not trust:
            remedy = f"Read its code, then add --trust, or type torch_module:factory={file_factory},path={path}."
            raise MesascopeError(f"{path!r} names the factory {file_factory!r}, whose code would run.", remedy)
        gate.allow(file_factory)
    make = functools.partial(_make_module, factory or file_factory, family)
    module = make()
    if weights is not None:
        _torch.load_weights(module, weights, repr(path))
    parts = "" if observes == DEFAULT_PARTS else observes
    name = format_spec("torch_module", factory=factory, path=path, observes=parts, stochastic=stochastic)
    return wrap(
        module,
        family,
        name,
        observes,
        layout,
        output_kind=output_kind,
        hooks=hooks,
        stochastic=stochastic,
        epsilon=epsilon,
        trained_on=trained_on,
        make_untrained=make if path else None,
    )


def _make_module(path: str, family: Family) -> Any:
    """Calls the factory package.module:factory that a path names, and returns the PyTorch module."""
    remedy = "Type factory=package.module:factory, with the module on PYTHONPATH or in this folder."
    function: Any = gate.find_function(path, "The factory", remedy)
    module = gate.call_factory(path, lambda: function(family) if _has_required_parameter(function) else function())
    if not isinstance(module, import_optional_package("torch", "torch").nn.Module):
        raise MesascopeError(f"{path} returned {type(module).__name__}.", "Return a torch.nn.Module.")
    return module


def _has_required_parameter(function: Callable[..., Any]) -> bool:
    """Whether a function cannot be called without arguments."""
    parameters = inspect.signature(function).parameters.values()
    return any(p.default is p.empty and p.kind < 2 for p in parameters)


def _has_state_parameter(module: Any) -> bool:
    """Whether a module's method `forward` takes a second argument, the state."""
    parameters = inspect.signature(module.forward).parameters.values()
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters) >= 2
