"""A PyTorch module as a subject: forward(x, state) → (logits, state), or forward(x) → logits.

x [N, F] is the percept of N lifetimes, encoded by the module `observing` as F numbers. The carry contains the state of
the PyTorch module, with one row per lifetime. If the setting `context` is C, the module instead gets the last C
percepts at once, x [N, t, F] with t = 1 … C, and the carry contains these percepts.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import jax
import numpy as np

from mesascope.agents import torch_files as _files
from mesascope.agents import torch_support as _torch
from mesascope.agents.foreign import BATCH_SIZES, OUTPUT_KINDS, format_spec
from mesascope.agents.observing import DEFAULT_PARTS, make_percept_encoder
from mesascope.agents.torch_support import TorchSubject, record_outputs
from mesascope.contracts import Family, Percept, Response, check_choice, check_range, import_optional_package
from mesascope.errors import MesascopeError
from mesascope.guards import gate

FACTORY_RUNS_CODE = True  # a user who types the path of a factory wants its code to run
LAYOUTS = ("batch", "time", "batch_time")  # x [N, F], [1, N, F] or [N, 1, F]
LAST_OF_TWO = -1
MAX_CONTEXT = 1 << 16  # the maximum number of percepts that a module gets at once
HISTORY, LENGTH = "history", "length"  # in a carry: the last percepts [N, C, F], and how many of them there are [N]

can_open = _torch.can_open


class TorchModule(TorchSubject):
    """A PyTorch module with frozen weights.

    Attributes:
        layout: the shape of the module's input: 'batch' for [N, F], 'time' for [1, N, F], 'batch_time' for [N, 1, F].
        output_kind: what the first output contains for each action: 'logits', 'probabilities' or 'values'.
        state_structure: the pytree structure of the module's state; the field `state` describes its tensors.
        state_index: the index of the state among the module's outputs; 0 if there is none.
        context: C, the number of percepts that the module gets at once, oldest first; 0 for the present percept only.
        file_hash: the hash of the file from which a whole module was read, or ''.
        make_untrained: a function that makes the module with new weights; None if there is no untrained twin.
    """

    layout: str
    output_kind: str
    state_structure: Any = eqx.field(static=True)
    state_index: int
    context: int
    file_hash: str
    make_untrained: Callable[[], Any] | None = eqx.field(static=True)

    def initialize_carry(self, n: int) -> dict[str, np.ndarray]:
        """Makes zeros for lifetimes that have not begun; for these, the module receives its initial state instead."""
        history = {HISTORY: np.zeros((n, self.context, self.observe.width), np.float32)} if self.context else {}
        return super().initialize_carry(n) | ({LENGTH: np.zeros(n, np.int32)} if self._has_memory else {}) | history

    @property
    def _has_memory(self) -> bool:
        return bool(self.state or self.context)

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Calls the module once for all lifetimes that have a state of the same shape, or as many past percepts."""
        x = self.observe(percept)
        age = np.asarray(carry[LENGTH]) if self._has_memory else np.zeros(len(x), np.int32)
        age = age if self.context or any(t.is_growing for t in self.state) else np.minimum(age, 1)
        groups = [np.flatnonzero(age == a) for a in np.unique(age)]
        with _torch.seed_without_gradients(_torch.make_seed(key)):
            parts = [self._call_policy(x[rows], {k: np.asarray(v)[rows] for k, v in carry.items()}) for rows in groups]
        order = np.argsort(np.concatenate(groups))
        scores, next_carry = jax.tree.map(lambda *p: np.concatenate(p)[order], *parts)
        return next_carry, self.choose(key, scores, self.output_kind)

    def _call_policy(self, x: np.ndarray, carry: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Computes the outputs and the next carry of lifetimes that have lived through equally many steps.

        The state of a module may have another shape after every step, and then the number of steps must be equal;
        otherwise it is enough if either all or none of the lifetimes have begun.
        """
        n, more = len(x), {}
        length = int(carry[LENGTH][0]) if self._has_memory else 0
        if self.state and length:
            state = self.state_structure.unflatten(self.restore_state(carry))
        else:
            state = make_initial_state(self.module, n)
        if self.context:
            past = carry[HISTORY][:, max(0, length + 1 - self.context) : length]
            x = np.concatenate([past, x[:, None]], axis=1)
            more[HISTORY] = np.pad(x, ((0, 0), (0, self.context - x.shape[1]), (0, 0)))
        if self._has_memory:
            more[LENGTH] = np.full(n, min(length + 1, self.context or np.iinfo(np.int32).max), np.int32)
        with record_outputs(self.module, self.tapped_modules) as hook_outputs:
            scores, next_state = call_module(self.module, x, state, self.layout, self.state_index)
        return scores, self.pack_carry(jax.tree.leaves(next_state), hook_outputs, n) | more

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


def call_module(module: Any, x: np.ndarray, state: Any, layout: str, state_index: int) -> tuple[np.ndarray, Any]:
    """Calls a module, and returns its first output [N, K] and its next state.

    Args:
        module: the module.
        x: the observations, [N, F], or [N, t, F] for a module that gets the last t percepts.
        state: the module's state.
        layout: the shape of the module's input, one of LAYOUTS.
        state_index: the index of the next state among the outputs; 0 if there is no state, and LAST_OF_TWO if the user
            did not name it, so that there may be only two outputs.

    Raises:
        MesascopeError: the module raised an exception, did not return (logits, state) although it takes a state, or did
            not return one row of logits per lifetime.
    """
    torch = import_optional_package("torch", "torch")
    batch = torch.tensor(x)
    if batch.ndim == 3:
        inputs = batch.transpose(0, 1) if layout == "time" else batch
    else:
        inputs = {"batch": batch, "time": batch[None], "batch_time": batch[:, None]}[layout]
    inputs = inputs.to(next((w.dtype for w in module.parameters() if w.is_floating_point()), inputs.dtype))
    try:
        outputs = module(inputs, state) if state_index else module(inputs)
    except Exception as error:
        call = f"It was called as module(x{', state' * bool(state_index)}) with x of shape {tuple(inputs.shape)}"
        problem = f"The module {type(module).__name__} raised {type(error).__name__}: {str(error)[:500]}."
        remedy = f"{call}. Check the settings observes (the content of x), layout and context."
        raise MesascopeError(problem, remedy) from error
    if state_index and not (isinstance(outputs, tuple) and len(outputs) >= 2):
        problem = f"The module {type(module).__name__} takes a state, but returned {type(outputs).__name__}."
        raise MesascopeError(problem, "Return (logits, state).")
    if state_index and (len(outputs) > 2 if state_index == LAST_OF_TWO else state_index >= len(outputs)):
        problem = f"The module {type(module).__name__} takes a state and returned {len(outputs)} outputs."
        raise MesascopeError(problem, "Add state=1 if the second is the next state, state=2 if the third is.")
    first = outputs[0] if isinstance(outputs, tuple | list) else outputs
    shape = getattr(first, "shape", None)
    if not shape or first.numel() % len(x) or first.numel() == 0:
        found = type(first).__name__ if shape is None else f"of shape {tuple(shape)}"
        problem = f"The first output of {type(module).__name__} is {found} for {len(x)} lifetimes."
        raise MesascopeError(problem, f"Return logits of shape ({len(x)}, choices) as the first output.")
    if x.ndim == 3 and len(shape) == 3:
        first = first[-1] if layout == "time" else first[:, -1]
    next_state = outputs[state_index] if state_index else None
    return first.detach().float().cpu().numpy().reshape(len(x), -1), next_state


def wrap(
    module: Any,
    family: Family,
    name: str = "",
    observes: str = DEFAULT_PARTS,
    layout: str = "batch",
    *,
    output_kind: str = "logits",
    state: int = 0,
    context: int = 0,
    hooks: str = "",
    stochastic: bool = True,
    epsilon: float = 0.0,
    trained_on: str = "unknown",
    make_untrained: Callable[[], Any] | None = None,
    file_hash: str = "",
) -> TorchModule:
    """Makes a subject from a module in Python; see `subject` for the settings.

    Args:
        make_untrained: a function that makes the module with new weights, for the untrained twin that is a control for
            decoding.
        file_hash: the hash of the file from which a whole module was read.
    """
    torch = import_optional_package("torch", "torch")
    if not isinstance(module, torch.nn.Module):
        raise MesascopeError(f"{type(module).__name__} is not a torch.nn.Module.", "Pass the module itself.")
    check_choice(LAYOUTS, layout=layout)
    check_choice(OUTPUT_KINDS, output_kind=output_kind)
    check_range(0, 1, epsilon=epsilon)
    check_range(0, 1024, state=state)
    check_range(0, MAX_CONTEXT, context=context)
    module, observer = _torch.freeze(_files.unwrap(module)), make_percept_encoder(family, observes or DEFAULT_PARTS)
    paths = _torch.match_paths(module, hooks)
    state_index = 0 if context or _files.count_inputs(module) < 2 else state or LAST_OF_TWO
    submodules = [path for path, _ in module.named_modules() if path] if not _files.is_script(module) else []
    with _torch.seed_without_gradients(0), record_outputs(module, submodules) as hook_outputs:
        time_axis = (1,) if context else ()
        batches = [np.zeros((n, *time_axis, observer.width), np.float32) for n in BATCH_SIZES]
        runs = [call_module(module, x, make_initial_state(module, len(x)), layout, state_index) for x in batches]
    small_state, large_state = ([t for t in jax.tree.leaves(state) if hasattr(t, "shape")] for _, state in runs)
    if state_index and not small_state:
        raise MesascopeError(f"{type(module).__name__} takes a state, but returned none.", "Return (logits, state).")
    count = runs[0][0].shape[1]
    if count != (family.choices or 1):
        problem = f"The network gives {count} numbers, but {family.name} has {family.choices or 'real-valued'} actions."
        raise MesascopeError(problem, "Run it on a family with as many choices, or return the logits first.")
    layouts = _torch.find_state_layout(small_state, large_state, hook_outputs) if state_index else ()
    if state_index:
        with _torch.seed_without_gradients(0):
            later = call_module(module, batches[1], runs[1][1], layout, state_index)[1]
        layouts = _torch.mark_growing(layouts, large_state, jax.tree.leaves(later))
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
        state=layouts,
        tap_widths=_torch.measure_tap_widths(hook_outputs, BATCH_SIZES[1], layouts),
        layout=layout,
        output_kind=output_kind,
        state_structure=jax.tree.structure(runs[0][1]),
        state_index=state_index,
        context=context,
        file_hash=file_hash,
        make_untrained=make_untrained,
    )


def subject(
    family: Family,
    *,
    path: str = "",
    factory: str = "",
    key: str = "",
    observes: str = DEFAULT_PARTS,
    layout: str = "batch",
    output_kind: str = "logits",
    state: int = 0,
    context: int = 0,
    hooks: str = "",
    stochastic: bool = True,
    epsilon: float = 0.0,
    trained_on: str = "unknown",
    trust: bool = False,
) -> TorchModule:
    """A PyTorch module, recurrent or not, with weights from a file that torch.save wrote.

    Args:
        family: the family that the module runs on.
        path: the path of a state dict, or of dicts that contain one; with trust, also of a whole module or a
            TorchScript archive. '' for the weights that the factory sets.
        factory: package.module:factory, which is called as factory(family) or factory() and returns the module.
        key: where in the file the module's state dict is, such as agent or agent.policy; '' for the only one that fits.
            Prefixes that wrappers add to the names of weights are removed without this setting.
        observes: the parts of the percept that the module receives, in order, joined by '+'.
        layout: batch if x is [N, F], time if it is [1, N, F], or batch_time if it is [N, 1, F].
        output_kind: what the module returns for each action: logits, probabilities or values. With values, the
            subject takes the action with the largest value.
        state: the index of the next state among the module's outputs, needed if there are more than two: 1 for the
            second output.
        context: the number of percepts that the module gets at once, x [N, t, F] with t from 1 to this number, oldest
            first, for modules that read their whole history; 0 for the present percept only.
        hooks: patterns that select the submodules to tap, joined by '+'; hooks=* selects all.
        stochastic: whether the subject draws actions; otherwise it takes the best action.
        epsilon: the probability of a uniformly random choice, if the outputs are values.
        trained_on: the tasks that it was trained on: unlimited (ever new tasks of the family), bank:M@seed (M tasks
            drawn by seed) or unknown.
        trust: whether code in the file, or a factory that the file names, may run.
    """
    torch = import_optional_package("torch", "torch")
    content = _files.read_file(path, trust) if path else None
    settings = {"observes": "" if observes == DEFAULT_PARTS else observes, "key": key}
    settings |= {"state": state or "", "context": context or "", "stochastic": stochastic}
    make, file_hash = None, ""
    if isinstance(content, torch.nn.Module):
        module, file_hash = content, _files.hash_file(path)
    else:
        factory = factory or _find_factory(content, path, trust)
        make = functools.partial(_make_module, factory, family)
        module = make()
        if path:
            _torch.load_weights(module, _files.find_weights(content, module, key, repr(path)), repr(path))
    name = format_spec("torch_module", factory=factory, path=path, **settings)
    return wrap(
        module,
        family,
        name,
        observes,
        layout,
        output_kind=output_kind,
        state=state,
        context=context,
        hooks=hooks,
        stochastic=stochastic,
        epsilon=epsilon,
        trained_on=trained_on,
        make_untrained=make if path else None,
        file_hash=file_hash,
    )


def _find_factory(content: Any, path: str, is_trusted: bool) -> str:
    """Returns the factory that a file of weights names, if the user trusts the file."""
    factory = content.get("factory", "") if isinstance(content, dict) else ""
    if not isinstance(factory, str) or not factory:
        problem = f"{path!r} contains weights, but no module." if path else "There is no module."
        remedy = f"Type torch_module:factory=package.module:factory{',path=' + path if path else ''}."
        raise MesascopeError(problem, remedy)
    if not is_trusted:
        remedy = f"Read its code, then add --trust, or type torch_module:factory={factory},path={path}."
        raise MesascopeError(f"{path!r} names the factory {factory!r}, whose code would run.", remedy)
    gate.allow(factory)
    return factory


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
