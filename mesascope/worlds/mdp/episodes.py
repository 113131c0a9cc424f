"""Exact values of finite Markov decision processes with episodes of fixed length, computed in NumPy."""

from typing import Any

import numpy as np


def compute_episode_value(
    transitions: np.ndarray, payoffs: np.ndarray, steps: int, policy_name: str = "best"
) -> np.ndarray:
    """Computes the expected pay-off [N] of an episode from state 0, by backward induction.

    Args:
        transitions: [N, S, A, S'] the probability of each next state S' after each action A in each state S.
        payoffs: [N, S, A] the mean pay-off of each action in each state.
        steps: the number of steps in the episode.
        policy_name: the policy that is followed: 'best', 'worst', or 'chance' (uniformly random).
    """
    aggregate = {"best": np.max, "worst": np.min, "chance": np.mean}[policy_name]
    return aggregate(compute_action_values(transitions, payoffs, steps, aggregate), axis=-1)[:, 0]


def compute_action_values(
    transitions: np.ndarray, payoffs: np.ndarray, steps: int, aggregate: Any = np.max
) -> np.ndarray:
    """Computes the expected pay-off [N, S, A] of an episode that begins with each action in each state.

    Args:
        transitions: [N, S, A, S'] the probability of each next state S' after each action A in each state S.
        payoffs: [N, S, A] the mean pay-off of each action in each state.
        steps: the number of steps in the episode.
        aggregate: a function that aggregates the values of all actions at each later step, such as the maximum.
    """
    n, states, actions, _ = transitions.shape
    rows, action_values = transitions.reshape(n, states * actions, states), payoffs
    for _ in range(steps - 1):
        future_value = aggregate(action_values, axis=-1)
        action_values = payoffs + (rows @ future_value[..., None])[..., 0].reshape(payoffs.shape)
    return action_values


def find_fixed_policy(transitions: np.ndarray, payoffs: np.ndarray, steps: int, max_sweeps: int = 20) -> np.ndarray:
    """Finds a good policy [steps, S] that depends only on the step and the state, for M equally likely tasks.

    The best policy of this kind is hard to find (Vlassis et al. 2012). This function starts from the best policy for
    the mean task. It then optimises the policy exactly at one step after another, until the value no longer rises.

    Args:
        transitions: [M, S, A, S'] the probability of each next state S' after each action A in each state S.
        payoffs: [M, S, A] the mean pay-off of each action in each state.
        steps: the number of steps in the episode.
        max_sweeps: the largest number of passes over all steps.
    """
    mean = transitions.mean(0), payoffs.mean(0)
    future_value, policy = np.zeros(payoffs.shape[1]), np.zeros((steps, payoffs.shape[1]), int)
    for h in reversed(range(steps)):
        action_values = mean[1] + mean[0] @ future_value
        policy[h], future_value = action_values.argmax(-1), action_values.max(-1)
    states, last_value = np.arange(payoffs.shape[1]), -np.inf
    for _ in range(max_sweeps):
        occupancy = np.zeros((steps, *payoffs.shape[:2]))  # the probability of each state in each task
        occupancy[0, :, 0] = 1.0
        for h in range(steps - 1):
            occupancy[h + 1] = np.einsum("ms,msp->mp", occupancy[h], transitions[:, states, policy[h]])
        future_value = np.zeros(payoffs.shape[:2])
        for h in reversed(range(steps)):
            action_values = payoffs + np.einsum("msap,mp->msa", transitions, future_value)
            pooled = np.einsum("ms,msa->sa", occupancy[h], action_values)
            policy[h] = np.where(pooled.max(-1) > pooled[states, policy[h]] + 1e-9, pooled.argmax(-1), policy[h])
            future_value = action_values[:, states, policy[h]]
        value = future_value[:, 0].mean()
        if value <= last_value + 1e-9:
            break
        last_value = value
    return policy


def evaluate_policy(transitions: np.ndarray, payoffs: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Computes the expected pay-off of an episode from state 0, [N], under a policy by step and state, [steps, S]."""
    future_value, states = np.zeros(payoffs.shape[:2]), np.arange(payoffs.shape[1])
    for actions in policy[::-1]:
        expected = np.einsum("nsp,np->ns", transitions[:, states, actions], future_value)
        future_value = payoffs[:, states, actions] + expected
    return future_value[:, 0]
