"""A PyTorch module as a subject: forward(x, state) → (logits, state), or forward(x) → logits.

x [N, F] is the percept in the encoding of `_observing`; the carry is the module's own state, row by row.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from mesascope import gate
from mesascope.errors import MesascopeError
from mesascope.families import Family, Percept
from mesascope.subjects import Response, Subject, _torch
from mesascope.subjects._extras import require
from mesascope.subjects._observing import ALL, Observer, observer
from mesascope.subjects._settings import one_of, within
from mesascope.subjects._torch import SEEN, Leaf, hooked

RUNS_CODE = True  # whoever types a factory has it run
LAYOUTS = ("batch", "time", "batch_time")  # x [N, F], [1, N, F] or [N, 1, F]
GIVES = ("logits", "probabilities", "values")
SIZES = (2, 3)  # of the batches by which a state's layout is found

opens = _torch.opens


class TorchModule(Subject):
    """A module with its weights frozen.

    Attributes:
        layout: of what it is handed, of LAYOUTS.
        gives: what its first output is, of GIVES.
        stochastic: whether actions are drawn; else the best is taken.
        epsilon: part of the choices that is even, where it gives values.
        hooks: paths of submodules whose outputs are taps.
        state: the layout of its state, empty for a feed-forward module.
    """

    name: str
    trained_on: str  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
    module: Any = eqx.field(static=True)
    observe: Observer = eqx.field(static=True)
    layout: str
    gives: str
    stochastic: bool
    epsilon: float
    hooks: tuple[str, ...]
    state: tuple[Leaf, ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)
    seen: dict[str, int] = eqx.field(static=True)
    again: Callable[[], Any] | None = eqx.field(static=True)

    traceable: ClassVar = False

    def fresh(self, n: int) -> dict[str, np.ndarray]:
        """Nothing begun: the module is called with state None, and rows of zeros stand where its state will."""
        out: dict[str, np.ndarray] = {SEEN + k: np.zeros((n, u), np.float32) for k, u in self.seen.items()}
        if not self.state:
            return out
        for leaf in self.state:
            width = int(np.prod(leaf.shape, dtype=int)) // len(leaf.names)
            out |= {k: np.zeros((n, width), leaf.kind) for k in leaf.names}
        return out | {"begun": np.zeros(n, bool)}

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """One call of the module for all lifetimes; two where some have just begun."""
        x = self.observe(percept)
        begun = np.asarray(carry["begun"]) if self.state else np.zeros(len(x), bool)
        parts, order = [], []
        with _torch.drawing(_torch.seed_of(key)):
            for which in (True, False):
                rows = np.flatnonzero(begun == which)
                if len(rows):
                    held = {k: np.asarray(v)[rows] for k, v in carry.items()} if which else None
                    parts.append(self._call(x[rows], held))
                    order.append(rows)
        back = np.argsort(np.concatenate(order))
        scores, after = jax.tree.map(lambda *p: np.concatenate(p)[back], *parts)
        if self.observe.choices is None:
            return after, Response(scores[:, 0].astype(np.float32), None)
        return after, _torch.respond(key, scores, self.gives, self.stochastic, self.epsilon)

    def _call(
        self, x: np.ndarray, held: dict[str, np.ndarray] | None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        if held is not None:
            state = self.structure.unflatten([leaf.tensor(held) for leaf in self.state])
        else:
            state = begun(self.module, len(x))
        with hooked(self.module, self.hooks) as got:
            scores, given = called(self.module, x, state, self.layout, bool(self.state))
        after: dict[str, np.ndarray] = {}
        for leaf, tensor in zip(self.state, jax.tree.leaves(given), strict=True):
            after |= leaf.rows(tensor)
        found = _torch.outputs(got, len(x))
        after |= {SEEN + k: found[k] for k in self.seen}
        if self.state:
            after["begun"] = np.ones(len(x), bool)
        return scores, after

    def taps(self, carry: Any) -> dict[str, Any]:
        """Its state by name ('gru.h', 'lstm.c'), and the outputs of hooked submodules by path ('head')."""
        held = {k: carry[k] for leaf in self.state for k in leaf.names}
        return held | {k: np.array(carry[SEEN + k]) for k in self.seen}  # copies: nothing acts by them

    def untrained(self, seed: int) -> TorchModule | None:
        """The module as its factory makes it, before weights are put in; None where those would be the same."""
        if self.again is None:
            return None
        torch = require("torch", "torch")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            twin = _torch.frozen(self.again())
        if _torch.fingerprint(twin) == self.fingerprint():
            return None
        return dataclasses.replace(self, module=twin)

    def fingerprint(self) -> dict[str, str]:
        """Every parameter and buffer by name."""
        return _torch.fingerprint(self.module)


def begun(module: Any, n: int) -> Any:
    """The state at birth: what the module's initial_state(n) gives where it has one, else None."""
    make = getattr(module, "initial_state", None)
    return make(n) if callable(make) else None


def called(module: Any, x: np.ndarray, state: Any, layout: str, recurrent: bool) -> tuple[np.ndarray, Any]:
    """What a module gives for x [N, F]: scores [N, K] and its next state.

    Raises:
        MesascopeError: it raised, or gave something else.
    """
    torch = require("torch", "torch")
    shown = torch.tensor(x)
    shown = {"batch": shown, "time": shown[None], "batch_time": shown[:, None]}[layout]
    try:
        given = module(shown, state) if recurrent else module(shown)
    except Exception as error:
        raise MesascopeError(
            f"The module {type(module).__name__} raised {type(error).__name__}: {error}.",
            f"It was called as module(x{', state' * recurrent}) with x of shape {tuple(shown.shape)}: "
            "see told, for what is in x, and layout.",
        ) from error
    if recurrent and not (isinstance(given, tuple) and len(given) >= 2):
        raise MesascopeError(
            f"The module {type(module).__name__} takes a state and gave back {type(given).__name__}.",
            "Return (logits, state).",
        )
    first = given[0] if isinstance(given, tuple | list) else given
    size = getattr(first, "shape", None)
    if size is None or not len(size) or first.numel() % len(x) or first.numel() == 0:
        raise MesascopeError(
            f"The first output of {type(module).__name__} is "
            f"{type(first).__name__ if size is None else f'of shape {tuple(size)}'} for {len(x)} lifetimes.",
            f"Return logits of shape ({len(x)}, choices) first.",
        )
    return first.detach().float().cpu().numpy().reshape(len(x), -1), given[-1] if recurrent else None


def wrap(
    module: Any,
    family: Family,
    name: str = "",
    told: str = ALL,
    layout: str = "batch",
    gives: str = "logits",
    hooks: str = "",
    stochastic: bool = True,
    epsilon: float = 0.0,
    trained_on: str = "unknown",
    again: Callable[[], Any] | None = None,
) -> TorchModule:
    """A module in Python as a subject; see `subject` for the settings.

    Args:
        again: makes the module with fresh weights, for the untrained twin that decoding is compared with.
    """
    torch = require("torch", "torch")
    if not isinstance(module, torch.nn.Module):
        raise MesascopeError(
            f"{type(module).__name__} is no torch.nn.Module.", "Hand over the module itself."
        )
    one_of(LAYOUTS, layout=layout)
    one_of(GIVES, gives=gives)
    within(0, 1, epsilon=epsilon)
    module, watch = _torch.frozen(module), observer(family, told or ALL)
    wanted, recurrent = _torch.paths_of(module, hooks), _takes_state(module)
    every = [path for path, _ in module.named_modules() if path]
    with _torch.drawing(0), hooked(module, every) as got:
        runs = [
            called(module, np.zeros((n, watch.width), np.float32), None, layout, recurrent) for n in SIZES
        ]
    small, large = ([t for t in jax.tree.leaves(state) if hasattr(t, "shape")] for _, state in runs)
    if recurrent and not small:
        raise MesascopeError(
            f"{type(module).__name__} takes a state and gave none.", "Return (logits, state)."
        )
    count = runs[0][0].shape[1]
    if count != (family.choices or 1):
        raise MesascopeError(
            f"The network gives {count} numbers, {family.name} has {family.choices or 'real-valued'} actions.",
            "Put it to a family with as many choices, or return the logits first.",
        )
    state = _torch.leaves(small, large, SIZES, got) if recurrent else ()
    found = _torch.outputs({path: got[path] for path in wanted if path in got}, SIZES[1])
    found = {k: v for k, v in found.items() if not any(k in leaf.names for leaf in state)}
    return TorchModule(
        name=name or f"{type(module).__name__}(stochastic={stochastic})",
        trained_on=trained_on,
        module=module,
        observe=watch,
        layout=layout,
        gives=gives,
        stochastic=stochastic,
        epsilon=epsilon,
        hooks=tuple(path for path in wanted if path in got),
        state=state,
        structure=jax.tree.structure(runs[0][1]),
        seen={k: v.shape[1] for k, v in found.items()},
        again=again,
    )


def subject(
    family: Family,
    path: str = "",
    factory: str = "",
    told: str = ALL,
    layout: str = "batch",
    gives: str = "logits",
    hooks: str = "",
    stochastic: bool = True,
    epsilon: float = 0.0,
    trained_on: str = "unknown",
    trust: bool = False,
) -> TorchModule:
    """A PyTorch module, recurrent or not, with weights from a state dict.

    Args:
        family: what it is put to.
        path: a state dict written by torch.save; '' for the weights that the factory sets.
        factory: package.module:factory, called as factory(family), or without if it takes nothing; gives the module.
        told: parts of the percept that it observes, joined by '+', in order.
        layout: x is [N, F] (batch), [1, N, F] (time) or [N, 1, F] (batch_time).
        gives: logits, probabilities, or values of the actions.
        hooks: patterns of submodules whose outputs are taps, joined by '+', as in hooks=*.
        stochastic: draw actions; else take the best.
        epsilon: part of the choices that is even, where it gives values.
        trained_on: unlimited, bank:M@seed or unknown.
        trust: whether a factory that the file names may run.
    """
    require("torch", "torch")
    held = _torch.load(path, repr(path)) if path else None
    weights, named = held, ""
    if isinstance(held, dict) and isinstance(held.get("state_dict"), dict):
        weights, named = held["state_dict"], held.get("factory", "")
    if not factory:
        if not isinstance(named, str) or not named:
            raise MesascopeError(
                f"{path!r} holds weights, not the module that they are of."
                if path
                else "No module is named.",
                f"Type torch_module:factory=package.module:factory{',path=' + path if path else ''}.",
            )
        if not trust:
            raise MesascopeError(
                f"{path!r} names the factory {named!r}, whose code would run.",
                f"Read it, then add --trust, or type torch_module:factory={named},path={path}.",
            )
        gate.typed(named)
    make = functools.partial(_made, factory or named, family)
    module = make()
    if weights is not None:
        _torch.fill(module, weights, repr(path))
    settings = {
        "factory": factory,
        "path": path,
        "told": told if told != ALL else "",
        "stochastic": stochastic,
    }
    name = "torch_module:" + ",".join(f"{k}={v}" for k, v in settings.items() if v != "")
    return wrap(
        module,
        family,
        name,
        told,
        layout,
        gives,
        hooks,
        stochastic,
        epsilon,
        trained_on,
        make if path else None,
    )


def _made(factory: str, family: Family) -> Any:
    """The module that package.module:factory gives."""
    remedy = "Type factory=package.module:factory, with the module on PYTHONPATH or in this folder."
    made: Any = gate.named(factory, "The factory", remedy)
    try:
        takes = [
            p for p in inspect.signature(made).parameters.values() if p.default is p.empty and p.kind < 2
        ]
        got = made(family) if takes else made()
    except Exception as error:
        raise MesascopeError(
            f"{factory} raised {type(error).__name__}: {error}.", "It is called as factory(family)."
        ) from error
    if not isinstance(got, require("torch", "torch").nn.Module):
        raise MesascopeError(f"{factory} returned {type(got).__name__}.", "Return a torch.nn.Module.")
    return got


def _takes_state(module: Any) -> bool:
    """Whether its forward takes a second argument."""
    known = inspect.signature(module.forward).parameters.values()
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in known) >= 2
