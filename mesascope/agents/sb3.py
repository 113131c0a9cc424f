"""An agent of stable-baselines3 or sb3-contrib, from the zip that model.save() wrote."""

import dataclasses
import functools
import os
import warnings
from collections.abc import Sequence
from typing import Any, Self

import equinox as eqx
import gymnasium
import jax
import numpy as np

from mesascope.agents import normalising as _normalising
from mesascope.agents import sb3_zip as _sb3_zip
from mesascope.agents import torch_support as _torch
from mesascope.agents.foreign import format_spec
from mesascope.agents.normalising import NO_FILE, Statistics
from mesascope.agents.observing import OBSERVATION, PerceptEncoder, make_percept_encoder
from mesascope.agents.torch_support import StateTensor, TorchSubject, record_outputs
from mesascope.contracts import Family, Percept, Response, check_choice, check_range, import_optional_package
from mesascope.errors import MesascopeError, MesascopeWarning, require

EPISODE_UNITS = ("lifetime", "trial")
FRAMES_KEY = "frames"

can_open = _sb3_zip.can_open


class SB3(TorchSubject):
    """A policy with frozen weights; `module` is the policy, and `state` is the layout of its recurrent state (h, c).

    Attributes:
        archive: the content of the zip from which the policy was read.
        statistics: the mean and variance that normalise observations; None if the observations are not normalised.
        episode: 'lifetime' or 'trial', whichever counts as an episode; episode_start is true at its start.
        stack: the number of observations that the policy receives at once; the carry contains the earlier ones.
        is_trusted: whether the user's own classes may be unpickled.
        mask_size: the number of last entries of the observation that the policy gets as its action mask; 0 for none.
    """

    archive: _sb3_zip.AgentFile = eqx.field(static=True)
    statistics: Statistics | None = eqx.field(static=True)
    episode: str
    stack: int
    is_trusted: bool
    mask_size: int = 0

    def initialize_carry(self, n: int) -> dict[str, np.ndarray]:
        """Makes a carry of zeros, which are also the policy's state when episode_start is true."""
        frames = {FRAMES_KEY: np.zeros((n, self.stack - 1, self.observe.width), np.float32)}
        return super().initialize_carry(n) | (frames if self.stack > 1 else {})

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Calls the policy once for all lifetimes."""
        x, frames = self.observe(percept), {}
        if self.stack > 1:
            x = np.concatenate([np.asarray(carry[FRAMES_KEY]), x[:, None]], axis=1)
            frames[FRAMES_KEY] = x[:, 1:]
        masks = np.asarray(percept.observation).reshape(len(x), -1)[:, -self.mask_size :] if self.mask_size else None
        starts = percept.first if self.episode == "lifetime" else np.asarray(percept.step) == 0
        with (
            _torch.seed_without_gradients(_torch.make_seed(key)),
            record_outputs(self.module, self.tapped_modules) as hook_outputs,
        ):
            scores, output_kind, state = self._call_policy(x, carry, np.asarray(starts, np.float32), masks)
        return self.pack_carry(state, hook_outputs, len(x)) | frames, self.choose(key, scores, output_kind)

    def _call_policy(
        self, x: np.ndarray, carry: Any, starts: np.ndarray, masks: np.ndarray | None = None
    ) -> tuple[np.ndarray, str, Sequence[Any]]:
        """Calls the policy on observations.

        Args:
            x: the encoded percepts, [N, F] or [N, stack, F] for N lifetimes.
            carry: the carry, which contains the policy's state.
            starts: [N] 1 at the start of an episode, otherwise 0.
            masks: [N, K] which actions are allowed; None if the policy gets no mask.

        Returns:
            The outputs; what they are ('logits', 'probabilities' or 'values' of the actions, or 'action' for real
            actions); and the next state, empty if there is none.
        """
        torch, policy = import_optional_package("torch", "sb3"), self.module
        inputs, _ = policy.obs_to_tensor(self._shape_observations(x))
        arguments = (inputs, tuple(self.restore_state(carry)), torch.tensor(starts)) if self.state else (inputs,)
        if self.observe.choices is None:
            action = policy._predict(*arguments, deterministic=not self.is_stochastic)
            action, state = action if self.state else (action, ())
            action, space = action.cpu().numpy().reshape(len(x), -1), policy.action_space
            if policy.squash_output:
                return policy.unscale_action(action), "action", state
            return np.clip(action, space.low.ravel(), space.high.ravel()), "action", state
        if hasattr(policy, "q_net"):
            return policy.q_net(inputs).numpy(), "values", ()
        if hasattr(policy, "quantile_net"):
            return policy.quantile_net(inputs).mean(dim=1).numpy(), "values", ()
        if hasattr(policy, "get_distribution"):
            keywords = {} if masks is None else {"action_masks": masks > 0}
            actions = policy.get_distribution(*arguments, **keywords)
            actions, state = actions if self.state else (actions, ())
            parts = actions.distribution if isinstance(actions.distribution, list) else [actions.distribution]
            return functools.reduce(_join_logits, [p.logits.numpy() for p in parts]), "logits", state
        action = policy._predict(inputs, deterministic=True).cpu().numpy().reshape(-1)
        return np.eye(self.observe.choices)[action.astype(int)], "probabilities", ()

    def _shape_observations(self, x: np.ndarray) -> Any:
        """Reshapes observations of N lifetimes to the policy's observation space, and normalises them.

        An observation consists of F numbers, or of `stack` rows of F numbers.
        """
        space, n = self.module.observation_space, len(x)
        if isinstance(space, gymnasium.spaces.Dict):
            return _split_observations(space, x)
        if hasattr(space, "n") and not space.shape:
            return x[:, 0].astype(np.int64) if x.shape[1] == 1 else x.argmax(-1)
        if self.stack > 1 and space.shape[-1] == self.stack != space.shape[0]:
            x = np.moveaxis(x, 1, -1)
        x = x.reshape(n, *space.shape)
        return self.statistics(x) if self.statistics else x.astype(space.dtype)

    def make_untrained_twin(self, seed: int) -> Self:
        """Makes a policy of the same shape, with weights as they are before training."""
        spaces = (self.module.observation_space, self.module.action_space)
        return dataclasses.replace(
            self, module=_sb3_zip.build_untrained_policy(self.archive, spaces, self.is_trusted, seed)
        )


def subject(
    family: Family,
    *,
    path: str,
    observes: str = "",
    stochastic: bool = True,
    epsilon: float = -1.0,
    episode: str = "lifetime",
    normalize: str = "",
    stack: int = 1,
    masks: str = "",
    hooks: str = "",
    trained_on: str = "unknown",
    trust: bool = False,
) -> SB3:
    """An agent of stable-baselines3 or sb3-contrib (PPO, A2C, DQN, QR-DQN, RecurrentPPO and others), from its zip.

    Args:
        family: the family that the agent runs on.
        path: the path of the zip that model.save() wrote.
        observes: the parts of the percept that the agent receives, in order, joined by '+'. If it is '', the agent
            receives all parts except the step, or the observation alone if only the observation fits.
        stochastic: whether the agent draws actions as in training; otherwise it takes the best action.
        epsilon: the probability of a uniformly random choice of a DQN; below 0 for the file's exploration_rate.
        episode: lifetime or trial; at its start, episode_start is true and a recurrent state is reset.
        normalize: the path of a VecNormalize file; '' for the file beside the zip, none for no normalisation.
        stack: the number of observations that the agent receives at once, as with VecFrameStack.
        masks: 'none' to give no action masks to a MaskablePPO; by default it gets those of its environment.
        hooks: patterns that select the submodules whose outputs are taps, joined by '+'; hooks=* selects all.
        trained_on: the tasks that it was trained on: unlimited (ever new tasks of the family), bank:M@seed (M tasks
            drawn by seed) or unknown.
        trust: whether the user's own classes may be unpickled.
    """
    import_optional_package("torch", "sb3")
    import_optional_package("stable_baselines3", "sb3")
    check_choice(EPISODE_UNITS, episode=episode)
    check_range(-1, 1, epsilon=epsilon)
    check_range(1, 1024, stack=stack)
    archive = _sb3_zip.read_agent_file(os.fspath(path))
    spaces = (_sb3_zip.read_space(archive, "observation_space"), _sb3_zip.read_space(archive, "action_space"))
    _refuse_unfit_actions(path, spaces[1], family)
    observer = _make_matching_encoder(path, spaces[0], family, observes, stack)
    statistics, statistics_path = _find_statistics(archive, normalize, spaces[0].shape or ())
    policy = _sb3_zip.load_policy(archive, spaces, trust)
    check_choice(("", "none"), masks=masks)
    mask_size = 0
    if not masks and type(policy).__name__.startswith("Maskable"):
        mask_size = family.mask_size
        problem = f"{path!r} is a MaskablePPO, but {family.name} does not say which actions are allowed."
        remedy = 'Let the environment put a mask into info["action_mask"], or give the setting masks=none.'
        require(mask_size > 0, problem, remedy)
    if epsilon < 0:
        rate = archive.data.get("exploration_rate", 0.05)
        epsilon = float(rate) if isinstance(rate, int | float) and 0 <= rate <= 1 else 0.05
    is_epsilon_greedy = stochastic and (hasattr(policy, "q_net") or hasattr(policy, "quantile_net"))
    settings: dict[str, Any] = {"path": path, "observes": observes, "stochastic": stochastic}
    settings["epsilon"] = round(epsilon, 6) if is_epsilon_greedy else ""
    settings["episode"] = episode if episode != EPISODE_UNITS[0] else ""
    settings["normalize"] = statistics_path
    settings["stack"] = stack if stack > 1 else ""
    settings["masks"] = masks
    name, state = format_spec("sb3", **settings), _find_state_layout(policy)
    agent = SB3(
        name=name,
        trained_on=trained_on,
        observe=observer,
        is_stochastic=stochastic,
        epsilon=epsilon,
        module=policy,
        tapped_modules=_torch.match_paths(policy, hooks),
        state=state,
        tap_widths={},
        archive=archive,
        statistics=statistics,
        episode=episode,
        stack=stack,
        is_trusted=trust,
        mask_size=mask_size,
    )
    return _attach_hooks(agent)


def _join_logits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Joins log-probabilities [N, K] and [N, L] of two parts of an action into those of the pairs, [N, K · L]."""
    return (one[:, :, None] + other[:, None]).reshape(len(one), -1)


def _split_observations(space: gymnasium.spaces.Dict, x: np.ndarray) -> dict[str, np.ndarray]:
    """Splits observations [N, F], which Gymnasium flattened, into the parts of a Dict space."""
    widths = [gymnasium.spaces.flatdim(part) for part in space.spaces.values()]
    columns = np.split(x, np.cumsum(widths)[:-1], axis=1)
    return {
        name: part.argmax(-1).astype(np.int64)
        if isinstance(inner, gymnasium.spaces.Discrete)
        else part.reshape(len(x), *(inner.shape or ())).astype(inner.dtype)
        for (name, inner), part in zip(space.spaces.items(), columns, strict=True)
    }


def _attach_hooks(agent: SB3) -> SB3:
    """Returns the agent with the hooked submodules that run when it acts, and with the widths of their taps."""
    n, stack_shape = 3, (agent.stack,) if agent.stack > 1 else ()
    x = np.zeros((n, *stack_shape, agent.observe.width), np.float32)
    with _torch.seed_without_gradients(0), record_outputs(agent.module, agent.tapped_modules) as hook_outputs:
        agent._call_policy(x, agent.initialize_carry(n), np.ones(n, np.float32))
    widths = _torch.measure_tap_widths(hook_outputs, n, agent.state)
    return dataclasses.replace(agent, tap_widths=widths, tapped_modules=tuple(hook_outputs))


def _find_state_layout(policy: Any) -> tuple[StateTensor, ...]:
    """Finds the layout of the state of the actor's LSTM; empty if there is no LSTM.

    The state consists of the output h and the cell c, each [layers, N, H] for N lifetimes and H units.
    """
    if not hasattr(policy, "lstm_actor"):
        return ()
    layers, _, width = policy.lstm_hidden_state_shape
    taps = (_torch.name_taps(f"lstm_actor.{part}", layers) for part in ("h", "c"))
    return tuple(StateTensor(names, 1, (layers, width), np.dtype(np.float32)) for names in taps)


def _make_matching_encoder(path: str, space: Any, family: Family, observes: str, stack: int) -> PerceptEncoder:
    """Makes the encoder of percepts that fits the agent's observation space; raises `MesascopeError` if none fits."""
    if hasattr(space, "n") and not space.shape:
        observer = make_percept_encoder(family, observes or OBSERVATION)
        if observer.width not in (1, int(space.n)):
            problem = f"{path!r} observes one of {space.n} states, but {family.name} shows {observer.width} numbers."
            raise MesascopeError(problem, "Run the agent on the family that it was trained on.")
        return observer
    size = gymnasium.spaces.flatdim(space) if space.shape is None else int(np.prod(space.shape, dtype=int))
    if size % stack:
        problem = f"{path!r} observes {size} numbers, which cannot be divided into {stack} equal frames."
        raise MesascopeError(problem, "Set stack=1.")
    return make_percept_encoder(family, observes, size // stack)


def _refuse_unfit_actions(path: str, space: Any, family: Family) -> None:
    """Raises `MesascopeError` if the agent's action space does not fit the family."""
    has_parts = isinstance(space, gymnasium.spaces.MultiDiscrete)
    count = int(np.prod(space.nvec)) if has_parts else getattr(space, "n", None)
    is_real = getattr(space, "shape", ()) and int(np.prod(space.shape)) == 1
    if family.choices is None:
        is_fit, actions = is_real and hasattr(space, "low"), "one real number"
    else:
        is_fit = (has_parts or not space.shape) and count == family.choices and not np.any(getattr(space, "start", 0))
        actions = f"{family.choices} actions"
    if not is_fit:
        problem = f"{path!r} has the action space {space}, but {family.name} has {actions}."
        raise MesascopeError(problem, "Run the agent on the family that it was trained on.")


def _is_trained_without_statistics(data: dict[str, Any]) -> bool:
    """Whether a zip tells that the agent was trained on observations as they are; only on-policy agents tell it."""
    is_told = "gae_lambda" in data and "_last_original_obs" in data and data.get("_last_obs") is not None
    return is_told and data["_last_original_obs"] is None


def _find_statistics(
    archive: _sb3_zip.AgentFile, normalize: str, shape: tuple[int, ...]
) -> tuple[Statistics | None, str]:
    """Finds the statistics to use and their file; warns if the user did not name the file, or left it out."""
    if normalize not in ("", NO_FILE):
        return _normalising.read_statistics(normalize, shape), normalize
    found_paths = [] if normalize else _normalising.find_statistics_files(archive.path)
    if found_paths and _is_trained_without_statistics(archive.data):
        message = f"There is a VecNormalize file beside {archive.path!r}, but this agent was trained without one, so "
        message += f"{found_paths[0]!r} is not used. Add normalize={found_paths[0]} to use it."
        warnings.warn(message, MesascopeWarning, stacklevel=3)
        return None, ""
    if len(found_paths) > 1:
        problem = (
            f"There are several VecNormalize files beside {archive.path!r}: {' and '.join(map(repr, found_paths))}."
        )
        raise MesascopeError(problem, f"Add normalize={found_paths[0]}, or normalize={NO_FILE}.")
    statistics = _normalising.read_statistics(found_paths[0], shape) if found_paths else None
    if found_paths:
        message = (
            f"There is a VecNormalize file beside {archive.path!r}: {found_paths[0]!r} normalises the observations. "
        )
        message += f"Add normalize={NO_FILE} to leave it out."
    elif "gae_lambda" not in archive.data or archive.data.get("_last_original_obs") is None:
        return None, normalize
    elif not normalize:
        problem = f"{archive.path!r} was trained with VecNormalize, but there is no file of statistics beside it."
        raise MesascopeError(problem, f"Add normalize=FILE, or normalize={NO_FILE} if only rewards were normalised.")
    else:
        message = f"{archive.path!r} was trained with VecNormalize, but its observations are not normalised now."
    warnings.warn(message, MesascopeWarning, stacklevel=3)
    return statistics, found_paths[0] if found_paths else normalize
