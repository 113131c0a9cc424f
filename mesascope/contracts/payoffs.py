"""Arrays of expected pay-offs."""

import numpy as np


def payoff_latents(means: np.ndarray, fixed: np.ndarray) -> dict[str, np.ndarray]:
    """The result of `latents` for mean pay-offs [N, T, K] and the pay-off [N, T] of the best fixed policy."""
    extremes = {"best": means.max(-1), "worst": means.min(-1)}
    return {"means": means, "chance": means.mean(-1), **extremes, "fixed": fixed}


def take_choice(payoffs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The pay-offs [N, T, M] of actions [N, T] or [N, T, M], from those of every choice [N or 1, T, K, M]."""
    action = np.maximum(np.asarray(action, int), 0)
    if action.ndim == 3:
        payoffs = np.broadcast_to(payoffs, (len(action), *payoffs.shape[1:]))
        return np.take_along_axis(payoffs, action[:, :, None], 2)[:, :, 0]
    lifetimes, trials = np.ogrid[: len(action), : action.shape[1]]
    return payoffs[lifetimes if len(payoffs) > 1 else 0, trials, action]
