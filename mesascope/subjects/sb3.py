"""An agent of stable-baselines3 or sb3-contrib, from the zip that model.save() wrote."""

from __future__ import annotations

import dataclasses
import os
import warnings
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.families import Family, Percept
from mesascope.subjects import Response, Subject, _normalising, _sb3_zip, _torch
from mesascope.subjects._extras import require
from mesascope.subjects._normalising import NONE, Statistics
from mesascope.subjects._observing import SHOWN, Observer, observer
from mesascope.subjects._settings import one_of, within
from mesascope.subjects._torch import SEEN, Leaf, hooked

EPISODES = ("lifetime", "trial")
FRAMES = "frames"

opens = _sb3_zip.opens


class SB3(Subject):
    """A policy with its weights frozen.

    Attributes:
        stochastic: whether actions are drawn as in training; else the best is taken.
        epsilon: part of the choices that is even, of policies that have values.
        episode: where episode_start is true: at the start of the lifetime, or of every trial.
        stack: observations that it sees at once, the last ones carried.
        hooks: paths of submodules whose outputs are taps.
        state: the layout of its recurrent state (h, c), empty without one.
    """

    name: str
    trained_on: str  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
    policy: Any = eqx.field(static=True)
    held: _sb3_zip.Zip = eqx.field(static=True)
    observe: Observer = eqx.field(static=True)
    statistics: Statistics | None = eqx.field(static=True)
    stochastic: bool
    epsilon: float
    episode: str
    stack: int
    hooks: tuple[str, ...]
    state: tuple[Leaf, ...] = eqx.field(static=True)
    seen: dict[str, int] = eqx.field(static=True)
    trust: bool

    traceable: ClassVar = False

    def fresh(self, n: int) -> dict[str, np.ndarray]:
        """Zeros, as the policy has them where episode_start is true."""
        out: dict[str, np.ndarray] = {SEEN + k: np.zeros((n, u), np.float32) for k, u in self.seen.items()}
        out |= {k: np.zeros((n, leaf.shape[-1]), np.float32) for leaf in self.state for k in leaf.names}
        if self.stack > 1:
            out[FRAMES] = np.zeros((n, self.stack - 1, self.observe.width), np.float32)
        return out

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """One call of the policy for all lifetimes."""
        x, after = self.observe(percept), {}
        if self.stack > 1:
            x = np.concatenate([np.asarray(carry[FRAMES]), x[:, None]], axis=1)
            after[FRAMES] = x[:, 1:]
        at = percept.first if self.episode == "lifetime" else np.asarray(percept.step) == 0
        state = [leaf.tensor(carry) for leaf in self.state]
        with _torch.drawing(_torch.seed_of(key)), hooked(self.policy, self.hooks) as got:
            given, kind, state = self._call(self._shaped(x), state, np.asarray(at, np.float32))
        for leaf, tensor in zip(self.state, state, strict=True):
            after |= leaf.rows(tensor)
        found = _torch.outputs(got, len(x))
        after |= {SEEN + k: found[k] for k in self.seen}
        if kind == "action":
            return after, Response(given, None)
        return after, _torch.respond(key, given, kind, self.stochastic, self.epsilon)

    def _call(self, x: np.ndarray, state: list[Any], starts: np.ndarray) -> tuple[np.ndarray, str, list[Any]]:
        """What the policy gives for observations, what kind that is, and its next state."""
        torch, policy = require("torch", "sb3"), self.policy
        seen, _ = policy.obs_to_tensor(x)
        if self.observe.choices is None:
            told = (seen, tuple(state), torch.tensor(starts)) if state else (seen,)
            action = policy._predict(*told, deterministic=not self.stochastic)
            action, state = (action[0], list(action[1])) if state else (action, [])
            action = action.cpu().numpy().reshape(len(x), -1)
            space = policy.action_space
            action = (
                policy.unscale_action(action)
                if policy.squash_output
                else np.clip(action, space.low.ravel(), space.high.ravel())
            )
            return action[:, 0].astype(np.float32), "action", state
        if state:
            chances, after = policy.get_distribution(seen, tuple(state), torch.tensor(starts))
            return chances.distribution.logits.numpy(), "logits", list(after)
        if hasattr(policy, "q_net"):
            return policy.q_net(seen).numpy(), "values", []
        if hasattr(policy, "quantile_net"):
            return policy.quantile_net(seen).mean(dim=1).numpy(), "values", []
        if hasattr(policy, "get_distribution"):
            return policy.get_distribution(seen).distribution.logits.numpy(), "logits", []
        action = policy._predict(seen, deterministic=True).cpu().numpy().reshape(-1)
        return np.eye(self.observe.choices)[action.astype(int)], "probabilities", []

    def _shaped(self, x: np.ndarray) -> np.ndarray:
        """Observations [N, F] or [N, stack, F] as the policy's space has them."""
        space, n = self.policy.observation_space, len(x)
        if hasattr(space, "n") and not space.shape:
            return x[:, 0].astype(np.int64) if x.shape[1] == 1 else x.argmax(-1)
        if self.stack > 1 and space.shape[-1] == self.stack != space.shape[0]:
            x = np.moveaxis(x, 1, -1)
        x = x.reshape(n, *space.shape)
        return self.statistics(x) if self.statistics else x.astype(space.dtype)

    def taps(self, carry: Any) -> dict[str, Any]:
        """Its state ('lstm_actor.h', 'lstm_actor.c'), and the outputs of hooked submodules by path ('action_net')."""
        held = {k: carry[k] for leaf in self.state for k in leaf.names}
        return held | {k: np.array(carry[SEEN + k]) for k in self.seen}  # copies: nothing acts by them

    def untrained(self, seed: int) -> SB3:
        """A policy of the same shape as training starts from."""
        spaces = (self.policy.observation_space, self.policy.action_space)
        twin = _sb3_zip.untrained(self.held, spaces, self.trust, seed)
        return dataclasses.replace(self, policy=twin)

    def fingerprint(self) -> dict[str, str]:
        """Every parameter and buffer by name."""
        return _torch.fingerprint(self.policy)


def subject(
    family: Family,
    path: str,
    told: str = "",
    stochastic: bool = True,
    epsilon: float = -1.0,
    episode: str = "lifetime",
    normalize: str = "",
    stack: int = 1,
    hooks: str = "",
    trained_on: str = "unknown",
    trust: bool = False,
) -> SB3:
    """An agent of stable-baselines3 or sb3-contrib (PPO, A2C, DQN, QR-DQN, RecurrentPPO and others), from its zip.

    Args:
        family: what it is put to.
        path: the zip that model.save() wrote.
        told: parts of the percept that it observes, joined by '+', in order; '' for all or the observation alone,
            whichever fits.
        stochastic: draw actions as in training; else take the best.
        epsilon: part of the choices of a DQN that is even; below 0 for the file's exploration_rate.
        episode: lifetime or trial: where episode_start is true and a recurrent state begins anew.
        normalize: a VecNormalize file; '' for the one beside the zip, none to leave it out.
        stack: how many observations it sees at once, as VecFrameStack.
        hooks: patterns of submodules whose outputs are taps, joined by '+', as in hooks=*.
        trained_on: unlimited, bank:M@seed or unknown.
        trust: whether classes of the user's own may be unpickled.
    """
    require("torch", "sb3")
    require("stable_baselines3", "sb3")
    one_of(EPISODES, episode=episode)
    within(-1, 1, epsilon=epsilon)
    within(1, 1024, stack=stack)
    held = _sb3_zip.read(os.fspath(path))
    spaces = (_sb3_zip.space(held, "observation_space"), _sb3_zip.space(held, "action_space"))
    _refuse_actions(path, spaces[1], family)
    watch = _observer(path, spaces[0], family, told, stack)
    statistics, used = _statistics(held, normalize, spaces[0].shape or ())
    policy = _sb3_zip.policy(held, spaces, trust)
    if epsilon < 0:
        rate = held.data.get("exploration_rate", 0.05)
        epsilon = float(rate) if isinstance(rate, int | float) and 0 <= rate <= 1 else 0.05
    settings = {"path": path, "told": told, "stochastic": stochastic}
    settings |= (
        {"epsilon": round(epsilon, 6)}
        if stochastic and any(hasattr(policy, net) for net in ("q_net", "quantile_net"))
        else {}
    )
    settings |= {"episode": episode} if episode != EPISODES[0] else {}
    settings |= {"normalize": used} | ({"stack": stack} if stack > 1 else {})
    paths = _torch.paths_of(policy, hooks)
    made = SB3(
        name="sb3:" + ",".join(f"{k}={v}" for k, v in settings.items() if v != ""),
        trained_on=trained_on,
        policy=policy,
        held=held,
        observe=watch,
        statistics=statistics,
        stochastic=stochastic,
        epsilon=epsilon,
        episode=episode,
        stack=stack,
        hooks=paths,
        state=_state(policy),
        seen={},
        trust=trust,
    )
    return _hooked(made)


def _hooked(made: SB3) -> SB3:
    """With the hooks that fire when it acts, and their widths."""
    n = 3
    x = np.zeros(
        (n, made.stack, made.observe.width) if made.stack > 1 else (n, made.observe.width), np.float32
    )
    fresh = made.fresh(n)
    with _torch.drawing(0), hooked(made.policy, made.hooks) as got:
        made._call(made._shaped(x), [leaf.tensor(fresh) for leaf in made.state], np.ones(n, np.float32))
    own = {k for leaf in made.state for k in leaf.names}
    seen = {k: v.shape[1] for k, v in _torch.outputs(got, n).items() if k not in own}
    return dataclasses.replace(made, seen=seen, hooks=tuple(got))


def _state(policy: Any) -> tuple[Leaf, ...]:
    """The layout of (h, c), each [layers, N, H], of the actor's LSTM."""
    if not hasattr(policy, "lstm_actor"):
        return ()
    layers, _, width = policy.lstm_hidden_state_shape
    out = []
    for part in ("h", "c"):
        name = f"lstm_actor.{part}"
        names = (name,) if layers == 1 else tuple(f"{name}_l{k}" for k in range(layers))
        out.append(Leaf(names, 1, (layers, width), np.dtype(np.float32)))
    return tuple(out)


def _observer(path: str, space: Any, family: Family, told: str, stack: int) -> Observer:
    if hasattr(space, "n") and not space.shape:
        made = observer(family, told or SHOWN)
        if made.width not in (1, int(space.n)):
            raise MesascopeError(
                f"{path!r} observes one of {space.n}, {family.name} shows {made.width} numbers.",
                "Put it to the family that it was trained on.",
            )
        return made
    size = int(np.prod(space.shape, dtype=int))
    if size % stack:
        raise MesascopeError(
            f"{path!r} observes {size} numbers, which are no {stack} frames.", "Set stack=1."
        )
    return observer(family, told, size // stack)


def _refuse_actions(path: str, space: Any, family: Family) -> None:
    count, real = getattr(space, "n", None), getattr(space, "shape", ()) and int(np.prod(space.shape)) == 1
    if family.choices is None:
        fits, has = real and hasattr(space, "low"), "one real number"
    else:
        fits = not space.shape and count == family.choices and getattr(space, "start", 0) == 0
        has = f"{family.choices} actions"
    if not fits:
        raise MesascopeError(
            f"{path!r} acts in {space}, {family.name} has {has}.",
            "Put it to the family that it was trained on.",
        )


def _statistics(held: _sb3_zip.Zip, normalize: str, shape: tuple[int, ...]) -> tuple[Statistics | None, str]:
    """The statistics to use and their file; warns of a file that lies beside the zip."""
    found = _normalising.beside(held.path) if not normalize else []
    if len(found) > 1:
        raise MesascopeError(
            f"Beside {held.path!r} lie {' and '.join(map(repr, found))}.",
            f"Add normalize={found[0]}, or normalize={NONE}.",
        )
    if normalize and normalize != NONE:
        return _normalising.read(normalize, shape), normalize
    if found:
        made = _normalising.read(found[0], shape)
        warnings.warn(
            f"A VecNormalize file lies beside {held.path!r}: observations are normalised by {found[0]!r}; "
            f"normalize={NONE} leaves that out.",
            MesascopeWarning,
            stacklevel=3,
        )
        return made, found[0]
    on_policy = "gae_lambda" in held.data
    if on_policy and held.data.get("_last_original_obs") is not None:
        if not normalize:
            raise MesascopeError(
                f"{held.path!r} was trained under VecNormalize, and its statistics are not beside it.",
                f"Add normalize=FILE, or normalize={NONE} if only rewards were normalised.",
            )
        warnings.warn(
            f"{held.path!r} was trained under VecNormalize, which is left out.",
            MesascopeWarning,
            stacklevel=3,
        )
    return None, normalize
