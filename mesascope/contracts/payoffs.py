"""Computes arrays of expected pay-offs.

In shapes, N is the number of lifetimes, T of trials in a lifetime, K of actions, and M of tasks.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.keys import derive_key


def make_payoff_latents(means: np.ndarray, fixed_payoffs: np.ndarray) -> dict[str, np.ndarray]:
    """Makes the result of `Family.compute_latents`: means, chance, best, worst and fixed.

    Args:
        means: [N, T, K] the expected pay-off of every action.
        fixed_payoffs: [N, T] the expected pay-off of the best policy that does not adapt.
    """
    extremes = {"best": means.max(-1), "worst": means.min(-1)}
    return {"means": means, "chance": means.mean(-1), **extremes, "fixed": fixed_payoffs}


def compute_values_by_action(latents: Mapping[str, np.ndarray]) -> np.ndarray:
    """Computes the worth [1, T, K, M] of all K actions on M tasks from the tasks' latents `means` and `chance`."""
    return np.moveaxis(latents["means"] - latents["chance"][..., None], 0, -1)[None]


def select_payoffs(payoffs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Selects the pay-offs of the chosen actions on M tasks from the pay-offs of all actions.

    Args:
        payoffs: [N or 1, T, K, M] the pay-off of every action on every task.
        action: [N, T] the chosen actions, or [N, T, M] with one action per task; a negative action counts as action 0.

    Returns:
        [N, T, M] the pay-offs.
    """
    action = np.maximum(np.asarray(action, int), 0)
    if action.ndim == 3:
        payoffs = np.broadcast_to(payoffs, (len(action), *payoffs.shape[1:]))
        return np.take_along_axis(payoffs, action[:, :, None], 2)[:, :, 0]
    lifetimes, trials = np.ogrid[: len(action), : action.shape[1]]
    return payoffs[lifetimes if len(payoffs) > 1 else 0, trials, action]


@eqx.filter_jit
def compute_every_payoff(family: Any, tasks: Any, trial_count: int) -> jax.Array:
    """Computes the expected pay-offs [N, T, K] of every action on every trial, by trying each action."""
    key = jax.random.key(0)
    state, percept = family.begin(key, tasks)

    def run_trial(state: Any, t: jax.Array) -> tuple[Any, jax.Array]:
        def try_action(action: jax.Array) -> tuple[Any, jax.Array]:
            after, _, score = family.step(derive_key(key, t), tasks, state, jnp.full_like(percept.action, action))
            return after, score

        after, scores = jax.vmap(try_action)(jnp.arange(family.choices))
        return jax.tree.map(lambda x: x[0], after), scores.T

    return jnp.moveaxis(jax.lax.scan(run_trial, state, jnp.arange(trial_count))[1], 0, 1)
