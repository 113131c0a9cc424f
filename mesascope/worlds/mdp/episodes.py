"""Finite Markov decision processes lived in episodes of fixed length: exact values, in NumPy."""

import numpy as np


def optimal_value(moves: np.ndarray, pays: np.ndarray, steps: int, policy: str = "best") -> np.ndarray:
    """[N] the expected pay-off of an episode from state 0, by backward induction.

    Args:
        moves: [N, S, A, S'] probabilities.
        pays: [N, S, A] mean pay-offs.
        steps: of the episode.
        policy: 'best', 'worst' or 'even', where every action is as likely as any other.
    """
    pick = {"best": np.max, "worst": np.min, "even": np.mean}[policy]
    n, states, actions, _ = moves.shape
    rows, later = moves.reshape(n, states * actions, states), np.zeros((n, states))
    for _ in range(steps):
        later = pick(pays + (rows @ later[..., None])[..., 0].reshape(pays.shape), axis=-1)
    return later[:, 0]


def blind_policy(moves: np.ndarray, pays: np.ndarray, steps: int, sweeps: int = 20) -> np.ndarray:
    """[steps, S] a good policy that knows a list of M equally likely tasks and may not adapt to which one it is.

    It looks at the step and the state alone. Which of these is best is hard to say (Vlassis et al. 2012); this one is
    found by improving one step after the other, each exactly, from the best policy of the mean task until nothing
    improves.

    Args:
        moves: [M, S, A, S'].
        pays: [M, S, A].
        steps: of the episode.
        sweeps: the most passes over all steps.
    """
    mean = moves.mean(0), pays.mean(0)
    later, policy = np.zeros(pays.shape[1]), np.zeros((steps, pays.shape[1]), int)
    for h in reversed(range(steps)):
        worth = mean[1] + mean[0] @ later
        policy[h], later = worth.argmax(-1), worth.max(-1)
    every, before = np.arange(pays.shape[1]), -np.inf
    for _ in range(sweeps):
        there = np.zeros((steps, *pays.shape[:2]))  # how often each task is in each state
        there[0, :, 0] = 1.0
        for h in range(steps - 1):
            there[h + 1] = np.einsum("ms,msp->mp", there[h], moves[:, every, policy[h]])
        later = np.zeros(pays.shape[:2])
        for h in reversed(range(steps)):
            worth = pays + np.einsum("msap,mp->msa", moves, later)
            summed = np.einsum("ms,msa->sa", there[h], worth)
            policy[h] = np.where(
                summed.max(-1) > summed[every, policy[h]] + 1e-9, summed.argmax(-1), policy[h]
            )
            later = worth[:, every, policy[h]]
        now = later[:, 0].mean()
        if now <= before + 1e-9:
            break
        before = now
    return policy


def policy_value(moves: np.ndarray, pays: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """[N] the expected pay-off of an episode from state 0 under a policy [steps, S]."""
    later, every = np.zeros(pays.shape[:2]), np.arange(pays.shape[1])
    for act in policy[::-1]:
        later = pays[:, every, act] + np.einsum("nsp,np->ns", moves[:, every, act], later)
    return later[:, 0]
