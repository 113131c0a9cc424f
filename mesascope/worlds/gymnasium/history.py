"""Plays an environment at random to detect whether its observations contain the past, or the last reward."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from gymnasium import wrappers

from mesascope.worlds.gymnasium.checked_env import CheckedEnv

MAX_EPISODES = 48  # the largest number of episodes of random play
MAX_STEPS = 24  # the largest number of steps in each of these episodes
MAX_OBSERVATIONS = 4 * MAX_STEPS  # after more observations than this number, no further episode begins
MAX_SEARCHED_SIZE = 4096  # observations with more numbers are searched for stacked frames only


class Step(NamedTuple):
    """One step of random play: the action, the reward, and the next observation (None if the episode is over)."""

    action: Any
    reward: float
    next_observation: np.ndarray | None


def find_evidence_of_history(env: CheckedEnv) -> str:
    """Describes the evidence that observations contain the past; '' if there is no evidence.

    The evidence may be stacked frames: a wrapper that stacks frames, or observations that equal the previous one
    shifted along an axis. It may also be a number in the observation that follows the sum of pay-offs, or the count of
    one action, over several episodes.
    """
    inner_env: Any = env.env
    while hasattr(inner_env, "env"):
        if isinstance(inner_env, wrappers.FrameStackObservation):
            return "FrameStackObservation"
        inner_env = inner_env.env
    episodes, sums = [], []
    total_reward, action_counts = 0.0, np.zeros(env.action_converter.choices or 0)
    for first_observation, steps in _play_episodes(env, 1, MAX_STEPS - 1):
        observations = [first_observation]
        sums.append((first_observation, total_reward, action_counts.copy()))
        for action, reward, observation in steps:
            total_reward += reward
            if len(action_counts):
                action_counts[action] += 1
            if observation is not None:
                observations.append(observation)
                sums.append((observation, total_reward, action_counts.copy()))
        episodes.append(np.stack(observations))
        if len(sums) > MAX_OBSERVATIONS:
            break
    evidence = _find_evidence_of_stacking(episodes)
    if not evidence and episodes[0][0].size <= MAX_SEARCHED_SIZE:
        observations, rewards, counts = (np.stack(x) for x in zip(*sums, strict=True))
        evidence = _find_running_sum(observations, rewards, counts)
    return evidence


def _play_episodes(env: CheckedEnv, seed: int, max_steps: int) -> Iterator[tuple[np.ndarray, list[Step]]]:
    """Plays episodes at random, and yields the first observation and at most `max_steps` steps of each episode."""
    rng = np.random.default_rng(seed)
    for _ in range(MAX_EPISODES):
        first_observation, steps = env.reset(int(rng.integers(2**31 - 1))), []
        while len(steps) < max_steps and (not steps or steps[-1].next_observation is not None):
            action = env.draw_action(rng)
            observation, reward, _, is_over = env.step(action)
            steps.append(Step(action, reward, None if is_over else observation))
        yield first_observation, steps


def _find_evidence_of_stacking(episodes: list[np.ndarray]) -> str:
    """Describes the evidence that each observation equals the last one shifted along an axis; '' if there is none."""
    long_episodes = [r for r in episodes if len(r) > 4]
    if len(long_episodes) < 2:
        return ""
    for axis in dict.fromkeys((1, long_episodes[0].ndim - 1)):
        length = long_episodes[0].shape[axis]
        for parts in (p for p in range(2, min(length, 16) + 1) if length % p == 0):
            for is_newest_last in (True, False):
                pairs = [_select_overlaps(r, axis, length // parts, is_newest_last) for r in long_episodes]
                is_changing = all(len({x.tobytes() for x in older}) > 2 for _, older in pairs)
                if is_changing and all(np.array_equal(newer, older) for newer, older in pairs):
                    return f"{parts} observations side by side"
    return ""


def _select_overlaps(
    observations: np.ndarray, axis: int, shift: int, is_newest_last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Selects two parts of the observations [T, …] of an episode, which are equal if these are stacked frames.

    Args:
        observations: [T, …] the observations of one episode, in order.
        axis: the axis along which frames may be stacked.
        shift: the length of one frame along this axis.
        is_newest_last: whether the newest frame is the last one in the stack, rather than the first.
    """
    shifted_axis_last = np.moveaxis(observations, axis, -1)
    old, new = shifted_axis_last[:-1], shifted_axis_last[1:]
    return (new[..., :-shift], old[..., shift:]) if is_newest_last else (new[..., shift:], old[..., :-shift])


def _find_running_sum(observations: np.ndarray, reward_sums: np.ndarray, action_counts: np.ndarray) -> str:
    """Names a running sum that some number in the observation shows, up to scale and offset; '' if there is none.

    Args:
        observations: [L, ...] the L observations of several episodes, in order.
        reward_sums: [L] the sum of the rewards before each observation.
        action_counts: [L, K] how often each action was taken before each observation.
    """
    if len(observations) < 8:
        return ""
    columns = observations.reshape(len(observations), -1).astype(float).T
    candidates = {"the pay-off so far": reward_sums}
    candidates |= {f"how often action {k} was taken": count for k, count in enumerate(action_counts.T)}
    step_index = np.arange(len(observations), dtype=float)
    for name, values in candidates.items():
        if len(np.unique(values)) < 4 or abs(np.corrcoef(values, step_index)[0, 1]) > 0.9999:
            continue
        for column in columns:
            if len(np.unique(column)) > 3 and abs(np.corrcoef(column, values)[0, 1]) > 1 - 1e-9:
                return name
    return ""


class RewardEntry(NamedTuple):
    """The index of an entry of the flattened observation, and the scale and offset with which it shows the last reward.

    The entry equals scale · last reward + offset."""

    index: int
    scale: float
    offset: float


def find_reward_entries(env: CheckedEnv) -> tuple[RewardEntry, ...]:
    """Finds the entries of the observation that show the last reward, up to scale and offset; () if there are none.

    The function compares the observation after each step with the reward of this step, over a few episodes of random
    play. An entry must agree with every reward, and at least two different rewards must occur. An entry that shows
    something else also counts if it always agrees with the reward, such as a position that determines the reward.
    """
    observed_rewards: list[tuple[np.ndarray, float]] = []
    for _, steps in _play_episodes(env, 2, MAX_STEPS):
        observed_rewards += [
            (s.next_observation.ravel().astype(float), s.reward) for s in steps if s.next_observation is not None
        ]
        if len(observed_rewards) > MAX_OBSERVATIONS:
            break
    rewards = np.array([reward for _, reward in observed_rewards])
    if len(rewards) < 8 or np.ptp(rewards) == 0 or observed_rewards[0][0].size > MAX_SEARCHED_SIZE:
        return ()
    table = np.stack([observation for observation, _ in observed_rewards])
    centred, spread = rewards - rewards.mean(), table - table.mean(0)
    scale = centred @ spread / (centred @ centred)
    offset = table.mean(0) - scale * rewards.mean()
    is_close = np.abs(table - rewards[:, None] * scale - offset).max(0) <= 1e-5 * np.maximum(np.abs(table).max(0), 1e-9)
    indices = np.flatnonzero(is_close & (np.abs(scale) > 1e-9))
    return tuple(RewardEntry(int(i), float(scale[i]), float(offset[i])) for i in indices)
